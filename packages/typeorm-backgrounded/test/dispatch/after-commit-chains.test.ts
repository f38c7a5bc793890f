import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  currentJob,
  drain,
  settled,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
  type InBackground,
} from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'

let ran: string[] = []
let failing: string | undefined
let own: DataSource

@Entity()
class Page {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @Column({ default: 0 }) edits!: number
  @Column({ default: 0 }) other!: number

  private async edit(method: string, id = this.id): Promise<void> {
    ran.push(`${this.title} ${method}`)
    if (ran.length > 40) throw new Error('they start each other for ever')
    if (failing === method && currentJob().attempt === 1) throw new Error('the first time')
    await own.transaction(async (manager) => {
      const row = await manager.findOneByOrFail(Page, { id })
      await manager.save(Object.assign(row, { edits: row.edits + 1 }))
    })
  }

  @AfterCommitBackgrounded({ on: 'update', backoff: 0, when: ({ title }: Page) => title !== 'ring' })
  index(): Promise<void> {
    return this.edit('index')
  }

  @AfterCommitBackgrounded({ on: ['insert', 'update'], backoff: 0, when: ({ title }: Page) => title !== 'ring' })
  publish(): Promise<void> {
    return this.edit('publish')
  }

  /** Writes to the other row, whose event writes to this one. */
  @AfterCommitBackgrounded({ on: 'update', when: ({ title }: Page) => title === 'ring' })
  touchOther(): Promise<void> {
    return this.edit(`touch ${this.id}`, this.other)
  }

  @Backgrounded() async restart(): Promise<void> {
    await this.edit('restart')
  }
  declare restartBackgrounded: InBackground<Page['restart']>

  @AfterCommitBackgrounded({ on: 'recover' }) async callsIndex(): Promise<void> {
    ran.push('calls index')
    await this.indexBackgrounded()
  }
  declare indexBackgrounded: InBackground<Page['index']>
  declare callsIndexBackgrounded: InBackground<Page['callsIndex']>
}

const prefix = uniquePrefix()
const cases: { name: string; store: TestStore; make: () => Handler; redis?: true; retries?: false }[] = [
  { name: 'DatabaseHandler', store: sqliteFile, make: () => new DatabaseHandler() },
  { name: 'DatabaseHandler', store: postgres, make: () => new DatabaseHandler() },
  { name: 'DatabaseHandler', store: mariaDb, make: () => new DatabaseHandler() },
  { name: 'FakeHandler', store: sqliteFile, make: () => new FakeHandler() },
  { name: 'SynchronousHandler', store: postgres, make: () => new SynchronousHandler(), retries: false },
  { name: 'BullHandler', store: postgres, make: () => new BullHandler({ redis: redisUrl, prefix }), redis: true },
]

for (const { name, store, make, redis, retries } of cases) {
  describe(`methods after a commit that save rows: ${name}, ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
      if (redis) await requireRedis(this)
    })
    beforeEach(async () => {
      ran = []
      failing = undefined
      ;({ dataSource, drop } = await store.create([Page]))
      own = dataSource
      await withBackgrounded(dataSource, { handler: make(), logger: silent }).initialize()
    })
    afterEach(async () => {
      await drop?.()
      if (redis) await removeKeys(prefix)
    })

    const page = (title: string, more: object = {}) => Object.assign(new Page(), { title, ...more })
    const outcome = async () => {
      for (let before = -1; before !== ran.length;) {
        before = ran.length
        await settled(dataSource).catch(() => {})
        await drain(dataSource, { concurrency: 1 }) // two saves of one value at once are one change
      }
      return ran.splice(0)
    }

    it('run once each for one event, even if each starts the other', async () => {
      const row = await dataSource.manager.save(page('a'))
      expect(await outcome()).to.deep.equal(['a publish', 'a index'])
      await dataSource.manager.save(Object.assign(row, { edits: 100 }))
      // The update starts both, and each of them the other, once.
      expect((await outcome()).sort()).to.deep.equal(['a index', 'a index', 'a publish', 'a publish'])
    })

    it('run once each for a row, even if the chain leads through another row', async () => {
      const one = await dataSource.manager.save(page('ring'))
      const two = await dataSource.manager.save(page('ring', { other: one.id }))
      await dataSource.manager.save(Object.assign(one, { other: two.id }))
      expect(await outcome()).to.deep.equal([`ring touch ${one.id}`, `ring touch ${two.id}`])
    })

    it('are started by the writes of a job that no event has started', async () => {
      const row = await dataSource.manager.save(page('a'))
      await outcome()
      await row.restartBackgrounded()
      expect((await outcome()).sort()).to.deep.equal(['a index', 'a index', 'a publish', 'a publish', 'a restart'])
    })

    it('run whenever they are called, and a call begins a new chain', async () => {
      const row = await dataSource.manager.save(page('a'))
      await outcome()
      await row.callsIndexBackgrounded()
      expect(await outcome()).to.deep.equal(['calls index', 'a index', 'a publish'])
    })

    if (retries === false) return

    it('stay in their chain after a failed attempt', async () => {
      failing = 'index'
      await dataSource.manager.save(page('a'))
      expect(await outcome()).to.deep.equal(['a publish', 'a index', 'a index'])
    })
  })
}

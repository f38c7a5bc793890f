import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { types } from 'pg'
import { Column, DeleteDateColumn, Entity, PrimaryColumn, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  createWorker,
  withBackgrounded,
  type InBackground,
} from '../../../../src'
import { DatabaseHandler, type DatabaseHandlerOptions } from '../../../../src/handlers/database'
import { SESSION } from '../../../../src/database/postgres/connection'
import { RowsByKey } from '../../../../src/worker/reload/rows-by-key'
import { createPostgres, requirePostgres } from '../../../support/postgres'
import { silent } from '../../../support/program'
import { until } from '../../../support/worker-process'

const ran: { on: object; text: string }[] = []

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string
  @DeleteDateColumn() deletedAt?: Date

  @Backgrounded()
  send(to: string): void {
    ran.push({ on: this, text: `${this.label} ${to}` })
  }
  declare sendBackgrounded: InBackground<Parcel['send']>

  @Backgrounded({ withDeleted: true })
  trace(): void {
    ran.push({ on: this, text: `${this.label} traced` })
  }
  declare traceBackgrounded: InBackground<Parcel['trace']>
}

@Entity()
class Letter {
  @PrimaryColumn('uuid') id!: string
  @Column() text!: string

  @Backgrounded()
  post(): void {
    ran.push({ on: this, text: this.text })
  }
  declare postBackgrounded: InBackground<Letter['post']>
}

describe('the prefetched rows of claimed jobs on Postgres', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>
  let worker: ReturnType<typeof createWorker> | undefined
  let loads: number

  before(async function () {
    await requirePostgres(this)
  })
  const open = async (options?: DatabaseHandlerOptions, extra = {}) => {
    ;({ dataSource, drop } = await createPostgres([Parcel, Letter], { poolSize: 4, extra }))
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(options), logger: silent }).initialize()
    pool().on('acquire', () => loads++)
  }
  beforeEach(async () => {
    ran.length = 0
    loads = 0
    await open()
  })
  afterEach(async () => {
    await worker?.stop()
    worker = undefined
    await drop()
  })

  const pool = () => (dataSource.driver as unknown as { master: NodeJS.EventEmitter }).master
  const parcel = (label: string) => dataSource.manager.save(Object.assign(new Parcel(), { label }))
  const start = async (concurrency = 10) => {
    worker = createWorker(dataSource, { concurrency, pollInterval: 60_000 })
    void worker.run()
    await worker.ready
  }
  const done = (count: number) => until(() => ran.length >= count)
  /** A job may have run before its call knows that it is stored. */
  const run = async (call: () => Promise<unknown>) => {
    const before = ran.length
    await call()
    await done(before + 1)
  }
  const texts = () => ran.map((each) => each.text)
  /** Runs one job after the other, until a row was prefetched with its claim. */
  const startPrefetching = async (row: Parcel, call: () => Promise<unknown> = () => row.sendBackgrounded('first')) => {
    await start()
    for (let before = -1; loads !== before;) {
      before = loads
      await run(call)
    }
    ran.length = 0
  }
  const jobsThat = (event: 'failed' | 'retried') => {
    const ids: string[] = []
    backgroundedEvents(dataSource).on(event, ({ job }: { job: { id: string } }) => void ids.push(job.id))
    return ids
  }
  const insertJob = (entity: string, key: string) =>
    dataSource.query('INSERT INTO backgrounded_jobs (id, entity, key, method) VALUES ($1, $2, $3, $4) RETURNING id', [
      randomUUID(),
      entity,
      key,
      entity === 'Letter' ? 'post' : 'send',
    ]) as Promise<{ id: string }[]>

  it('come with the claim, as they are at that time', async () => {
    const row = await parcel('a')
    await startPrefetching(row)
    for (const label of ['b', 'c', 'd']) {
      await dataSource.query('UPDATE parcel SET label = $1', [label])
      const before = loads
      await run(() => row.sendBackgrounded('home'))
      expect(loads).to.equal(before)
    }
    expect(texts()).to.deep.equal(['b home', 'c home', 'd home'])
  })

  it('are loaded through the pool the first time for another class, and come with the claim from then on', async () => {
    await startPrefetching(await parcel('a'))
    const letter = await dataSource.manager.save(Object.assign(new Letter(), { id: randomUUID(), text: 'dear' }))
    const before = loads
    for (let number = 1; number <= 3; number++) {
      await letter.postBackgrounded()
      await done(number)
    }
    expect(texts()).to.deep.equal(['dear', 'dear', 'dear'])
    expect(loads).to.equal(before + 1)
  })

  it('become a separate object for each job', async () => {
    const row = await parcel('a')
    await startPrefetching(row)
    await backgrounded([row, row, row]).send('home')
    await done(3)
    expect(new Set(ran.map(({ on }) => on))).to.have.length(3)
  })

  it('are not taken by a method that loads its row in another way', async () => {
    const deleted = await parcel('a')
    await startPrefetching(deleted, () => deleted.traceBackgrounded())
    const reasons: string[] = []
    backgroundedEvents(dataSource).on('discarded', ({ reason }) => reasons.push(reason))
    await dataSource.manager.softRemove(deleted)
    await dataSource.transaction(async () => {
      await deleted.sendBackgrounded('never')
      await deleted.traceBackgrounded()
    })
    await done(1)
    await until(() => reasons.length === 1)
    expect(texts()).to.deep.equal(['a traced'])
  })

  it('are missing when they are gone or soft-deleted', async () => {
    const [row, gone, deleted] = [await parcel('a'), await parcel('gone'), await parcel('deleted')]
    await startPrefetching(row)
    const reasons: string[] = []
    backgroundedEvents(dataSource).on('discarded', ({ reason }) => reasons.push(reason))
    const keys = [{ id: gone.id }, { id: deleted.id }]
    await dataSource.manager.softRemove(deleted)
    await dataSource.manager.delete(Parcel, gone.id)
    for (const key of keys) await insertJob('Parcel', JSON.stringify(key))
    await row.sendBackgrounded('home')
    await done(1)
    await until(() => reasons.length === 2)
    expect(reasons.sort()).to.deep.equal(keys.map((key) => `Parcel ${JSON.stringify(key)} is gone.`).sort())
  })

  for (const key of ['{"id":', '{"id":"x"}', '{"id":99999999999999999999}', '{}', '{"id":{"id":1}}', '[]']) {
    it(`are found beside a job with the key ${key}`, async () => {
      const row = await parcel('a')
      await startPrefetching(row)
      const failed = jobsThat('failed')
      const [{ id } = { id: '' }] = await insertJob('Parcel', key)
      await row.sendBackgrounded('home')
      await done(1)
      await until(() => failed.length === 1)
      expect(failed).to.deep.equal([id])
      expect(texts()).to.deep.equal(['a home'])
    })
  }

  it('let a job be retried when a type parser refuses them', async () => {
    await drop()
    const VARCHAR = 1043
    const getTypeParser = (oid: number, format: 'text') =>
      oid === VARCHAR
        ? (label: string) => {
            if (label === 'odd') throw new Error('no such label')
            return label
          }
        : (types.getTypeParser(oid, format) as unknown)
    await open({}, { types: { getTypeParser } })
    const [row, odd] = [await parcel('a'), await parcel('b')]
    await startPrefetching(row)
    await dataSource.query('UPDATE parcel SET label = $1 WHERE id = $2', ['odd', odd.id])
    const retried = jobsThat('retried')
    const { id } = await odd.sendBackgrounded('never')
    await row.sendBackgrounded('home')
    await done(1)
    await until(() => retried.length === 1)
    expect(retried).to.deep.equal([id])
    expect(texts()).to.deep.equal(['a home'])
  })

  it('hold up no other job while their table is locked', async () => {
    const row = await parcel('a')
    await startPrefetching(row)
    const letter = await dataSource.manager.save(Object.assign(new Letter(), { id: randomUUID(), text: 'dear' }))
    const holder = dataSource.createQueryRunner()
    await holder.startTransaction()
    await holder.query('LOCK TABLE parcel')
    await row.sendBackgrounded('late')
    await letter.postBackgrounded()
    await done(1)
    expect(texts()).to.deep.equal(['dear'])
    await holder.commitTransaction()
    await holder.release()
    await done(2)
    expect(texts()).to.deep.equal(['dear', 'a late'])
  })

  it("are loaded through the pool if its connections see other tables than the worker's own", async () => {
    await dataSource.query('CREATE SCHEMA other')
    await dataSource.query('CREATE TABLE other.parcel (LIKE parcel INCLUDING ALL)')
    await dataSource.query("INSERT INTO other.parcel (id, label) VALUES (1, 'other')")
    const row = await parcel('a')
    pool().on('connect', (client: { query(sql: string): unknown }) => client.query('SET search_path TO other, public'))
    const runners = [dataSource.createQueryRunner(), dataSource.createQueryRunner()]
    for (const runner of runners) await runner.query('SET search_path TO other, public')
    for (const runner of runners) await runner.release()
    await start()
    for (let number = 1; number <= 5; number++) {
      const before = loads
      await row.sendBackgrounded('home')
      await done(number)
      expect(loads).to.be.greaterThan(before)
    }
    expect(new Set(texts())).to.deep.equal(new Set(['other home']))
  })

  it('are found by their index, however large the table is', async () => {
    await dataSource.query("INSERT INTO parcel (label) SELECT 'p' FROM generate_series(1, 50000)")
    const prefetch = new RowsByKey(dataSource, dataSource.getMetadata(Parcel), { withDeleted: false }).prefetchQuery(
      'Parcel',
    )
    const keys = `ARRAY['{"id":5}', '{"id":6}']`
    const runner = dataSource.createQueryRunner()
    await runner.query(SESSION)
    const lines = (await runner.query(`EXPLAIN ${prefetch?.select(keys)}`)) as { 'QUERY PLAN': string }[]
    const rows = (await runner.query(prefetch?.select(keys) ?? '')) as object[]
    await runner.query('RESET ALL')
    await runner.release()
    expect(lines.map((line) => line['QUERY PLAN']).join('\n')).to.match(/^Index Scan using "PK_/)
    expect(rows).to.have.length(2)
  })
})

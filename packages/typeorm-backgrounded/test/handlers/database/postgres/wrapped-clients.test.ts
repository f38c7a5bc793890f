import { expect } from 'chai'
import { Client } from 'pg'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type QueryRunner } from 'typeorm'
import { Backgrounded, createWorker, withBackgrounded, type InBackground } from '../../../../src'
import { DatabaseHandler } from '../../../../src/handlers/database'
import { createPostgres, requirePostgres } from '../../../support/postgres'
import { silent } from '../../../support/program'
import { until } from '../../../support/worker-process'

const ran: string[] = []

@Entity()
class Crate {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded({ backoff: 0 })
  load(word: string): void {
    ran.push(word)
    if (word === 'twice' && ran.filter((each) => each === word).length === 1) throw new Error('once more')
  }
  declare loadBackgrounded: InBackground<Crate['load']>
}

type Query = (this: unknown, query: string | { text: string }, ...rest: unknown[]) => unknown
const prototype = Client.prototype as unknown as { query: Query }

/** What tracing agents do to every query of every client. */
const wrappers: Record<string, (query: Query) => Query> = {
  'copy each query and add a comment to it': (query) =>
    function (given, ...rest) {
      const copy = typeof given === 'string' ? `/* app */ ${given}` : { ...given, text: `/* app */ ${given.text}` }
      return query.call(this, copy, ...rest)
    },
  'write another comment on each query': (query) => {
    let number = 0
    return function (given, ...rest) {
      const comment = ` /* ${++number} */`
      const isNamed = typeof given === 'object' && 'name' in given && given.name !== undefined
      const changed = typeof given === 'string' ? given + comment : { ...given, text: given.text + comment }
      return query.call(this, isNamed ? given : changed, ...rest)
    }
  },
}

describe('Jobs on Postgres, under agents that', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>
  const { query } = prototype

  before(async function () {
    await requirePostgres(this)
  })
  beforeEach(() => void (ran.length = 0))
  afterEach(async () => {
    prototype.query = query
    await drop?.()
  })

  const open = async () => {
    ;({ dataSource, drop } = await createPostgres([Crate], { poolSize: 1 }))
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
  }
  const crate = (label: string) => Object.assign(new Crate(), { label })
  const back = () => Promise.reject(new Error('back'))

  /** One after the other, on the one connection of the pool. */
  async function transactions(round: number, afterEach: () => Promise<unknown>): Promise<void> {
    const transaction = async (work: (manager: QueryRunner['manager']) => Promise<unknown>) => {
      await dataSource.transaction(work).catch(() => {})
      await afterEach()
    }
    await transaction(async (manager) => {
      const row = await manager.save(crate('committed'))
      await row.loadBackgrounded(`committed ${round}`)
    })
    await transaction(async (manager) => {
      const row = await manager.save(crate('never'))
      await row.loadBackgrounded('never')
      await back()
    })
    await transaction(async (manager) => {
      await manager.query('SELECT nonsense')
      await manager.save(crate('never'))
    })
    await transaction(async (manager) => {
      const row = await manager.save(crate('updated'))
      await row.loadBackgrounded(`before ${round}`)
      await manager.update(Crate, { id: row.id }, { label: 'changed' })
      await row.loadBackgrounded(`after ${round}`)
    })
    await transaction(async (manager) => {
      const row = await manager.save(crate('outer'))
      await row.loadBackgrounded(`outer ${round}`)
      const inner = manager.transaction(async (nested) => {
        await nested.save(crate('never'))
        await row.loadBackgrounded('never')
        await back()
      })
      await inner.catch(() => {})
    })
    await transaction(async (manager) => {
      await manager.save(crate('never'))
      await back()
    })
  }

  async function holds(afterEach: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
    for (const round of [1, 2, 3]) await transactions(round, afterEach)
    expect(await dataSource.manager.countBy(Crate, { label: 'never' })).to.equal(0)
    const expected = [1, 2, 3].flatMap((round) =>
      ['committed', 'before', 'after', 'outer'].map((word) => `${word} ${round}`),
    )
    const worker = createWorker(dataSource)
    const running = worker.run()
    await until(() => ran.length >= expected.length)
    const row = await dataSource.manager.findOneByOrFail(Crate, { label: 'committed' })
    await row.loadBackgrounded('outside')
    await until(() => ran.includes('outside')) // and so the class is known, and its rows come along from now on
    await Promise.all(Array.from({ length: 30 }, (_, number) => row.loadBackgrounded(`many ${number}`)))
    await row.loadBackgrounded('twice')
    await until(() => ran.length === expected.length + 33)
    await worker.stop()
    await running
    const many = Array.from({ length: 30 }, (_, number) => `many ${number}`)
    expect([...ran].sort()).to.deep.equal([...expected, 'outside', ...many, 'twice', 'twice'].sort())
    expect(await dataSource.query('SELECT * FROM backgrounded_jobs')).to.deep.equal([])
  }

  for (const [name, wrap] of Object.entries(wrappers)) {
    it(name, async () => {
      prototype.query = wrap(query)
      await open()
      await holds()
    })
  }

  it('sweep the session of a connection after each transaction', async () => {
    await open()
    await holds(() => dataSource.query('DISCARD ALL'))
  })

  it('do nothing, leave the heartbeat of a worker its thread', async () => {
    ;({ dataSource, drop } = await createPostgres([Crate]))
    const warned: string[] = []
    const warn = (_: object, message: string) => void warned.push(message)
    await withBackgrounded(dataSource, {
      handler: new DatabaseHandler(),
      logger: { ...silent, warn },
    }).initialize()
    const worker = createWorker(dataSource)
    const running = worker.run()
    await worker.ready
    await worker.stop()
    await running
    expect(warned).to.deep.equal([])
  })
})

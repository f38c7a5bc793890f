import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, QueryFailedError, type DataSource, type QueryRunner } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  drain,
  EnqueueError,
  PayloadTooLargeError,
  withBackgrounded,
  type InBackground,
} from '../../../../src'
import { DatabaseHandler, type DatabaseHandlerOptions } from '../../../../src/handlers/database'
import { administer, createPostgres, requirePostgres, whenSent } from '../../../support/postgres'
import { silent } from '../../../support/program'
import { until } from '../../../support/worker-process'

const ran: string[] = []

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded()
  send(to: string): void {
    ran.push(`${this.label} ${to.slice(0, 20)}`)
  }
  declare sendBackgrounded: InBackground<Parcel['send']>
}

/** Counts what the server answers on the connection of a runner. */
async function roundTrips(runner: QueryRunner, work: () => Promise<unknown>): Promise<number> {
  const { connection } = (await runner.connect()) as { connection: NodeJS.EventEmitter }
  let answers = 0
  const count = () => answers++
  connection.on('readyForQuery', count)
  await work()
  connection.off('readyForQuery', count)
  return answers
}

describe('the calls of a transaction on Postgres', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>

  before(async function () {
    await requirePostgres(this)
  })
  const open = async (options?: DatabaseHandlerOptions, extra = {}) => {
    const store = await createPostgres([Parcel], { poolSize: 2, extra })
    ;({ dataSource, drop } = store)
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(options), logger: silent }).initialize()
  }
  beforeEach(async () => {
    ran.length = 0
    await open()
  })
  afterEach(() => drop())

  const parcel = (label: string) => Object.assign(new Parcel(), { label })
  const saved = (label: string) => dataSource.manager.save(parcel(label))
  const failureOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error as Error)
  const commitWithoutTable = async (row: Parcel) => {
    await dataSource.query('ALTER TABLE backgrounded_jobs RENAME TO elsewhere')
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await manager.save(parcel('never'))
        await row.sendBackgrounded('never')
      }),
    )
    await dataSource.query('ALTER TABLE elsewhere RENAME TO backgrounded_jobs')
    return failure
  }
  const drained = async () => {
    await drain(dataSource)
    return [...ran].sort()
  }

  for (const listen of [true, false]) {
    it(`cost no round trip: they go with its COMMIT${listen ? '' : ', behind a pooler too'}`, async () => {
      await drop()
      await open({ listen })
      const row = await saved('a')
      const runner = dataSource.createQueryRunner()
      for (const round of ['first', 'second']) {
        await runner.startTransaction()
        await backgrounded(row, { manager: runner.manager }).send(`${round} 1`)
        await backgrounded(row, { manager: runner.manager }).send(`${round} 2`)
        expect(await roundTrips(runner, () => runner.commitTransaction())).to.equal(1)
      }
      await runner.release()
      expect(await drained()).to.deep.equal(['a first 1', 'a first 2', 'a second 1', 'a second 2'])
    })
  }

  describe('and its beginning, on a connection that has seen a call', () => {
    let runner: QueryRunner
    let row: Parcel

    const openRunner = async () => {
      row = await saved('a')
      runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      await backgrounded(row, { manager: runner.manager }).send('first')
      await runner.commitTransaction()
    }
    beforeEach(openRunner)
    afterEach(() => runner.release())

    const labels = async () => (await dataSource.manager.find(Parcel)).map(({ label }) => label)

    it('cost a save and a call two round trips', async () => {
      const trips = await roundTrips(runner, async () => {
        await runner.startTransaction()
        const b = await runner.manager.save(parcel('b'))
        await b.sendBackgrounded('home')
        await runner.commitTransaction()
      })
      expect(trips).to.equal(2)
      expect(await drained()).to.deep.equal(['a first', 'b home'])
    })

    const insert = "INSERT INTO parcel (label) VALUES ('b')"
    const firsts: Record<string, () => Promise<unknown>> = {
      'a statement with values': () => runner.query('INSERT INTO parcel (label) VALUES ($1)', ['b']),
      'a bare statement': () => runner.query(insert),
      'two statements in one': () => runner.query(`SELECT 1; ${insert}`),
      'a savepoint': () => runner.manager.transaction((manager) => manager.save(parcel('b'))),
      'several at once': () => Promise.all([runner.query('SELECT $1::int', [1]), runner.query(insert)]),
      'a query of the driver': async () => (await runner.connect()).query({ text: insert }),
      'a query with a callback': async () => {
        const client = (await runner.connect()) as { query(text: string, done: () => void): void }
        await new Promise<void>((resolve) => client.query(insert, resolve))
      },
      'a call': () => backgrounded(row, { manager: runner.manager }).send('b'),
      nothing: () => Promise.resolve(),
    }
    for (const [name, first] of Object.entries(firsts)) {
      it(`are where they belong when it starts with ${name}`, async () => {
        const stored = name === 'nothing' ? 0 : 1
        const count = async () => (await labels()).length - 1 + (await drained()).length - 1
        await runner.startTransaction()
        await first()
        await runner.rollbackTransaction()
        expect(await count()).to.equal(0)
        await runner.startTransaction()
        await first()
        await runner.commitTransaction()
        expect(await count()).to.equal(stored)
      })
    }

    it('have its isolation level', async () => {
      await runner.startTransaction('SERIALIZABLE')
      const shown: unknown = await runner.query('SHOW transaction_isolation')
      expect(shown).to.deep.equal([{ transaction_isolation: 'serializable' }])
      await runner.rollbackTransaction()
    })

    it('leave the error of its first statement as it is, and the connection usable', async () => {
      await runner.startTransaction()
      const failure = await failureOf(runner.query('SELECT $1::int', ['nonsense']))
      expect(failure).to.be.instanceOf(QueryFailedError).and.to.have.property('code', '22P02')
      const after = await failureOf(runner.query('SELECT 1'))
      expect(after).to.have.property('code', '25P02') // the transaction is broken
      await runner.rollbackTransaction()
      expect(await runner.query('SELECT 1 AS one')).to.deep.equal([{ one: 1 }])
    })

    it('are gone with a connection that dies before its first statement', async () => {
      const [{ pid }] = (await runner.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }]
      await runner.startTransaction()
      await administer(`SELECT pg_terminate_backend(${pid})`)
      expect(await failureOf(runner.query('INSERT INTO parcel (label) VALUES ($1)', ['b']))).to.be.instanceOf(Error)
      expect(await failureOf(runner.query(insert))).to.be.instanceOf(Error)
      await runner.rollbackTransaction().catch(() => {})
      expect(await labels()).to.deep.equal(['a'])
    })

    it('say so when the first statement has a value that cannot be sent', async () => {
      const unsendable = {
        toPostgres() {
          throw new RangeError('no such value')
        },
      }
      await runner.startTransaction()
      const failure = await failureOf(runner.query('SELECT $1::text', [unsendable]))
      expect(failure).to.be.instanceOf(QueryFailedError).with.property('message').that.includes('no such value')
      expect(await failureOf(runner.query(insert))).to.be.instanceOf(Error)
      await runner.rollbackTransaction().catch(() => {})
      expect(await labels()).to.deep.equal(['a'])
    })

    it("keep what is behind them from running alone when pg's own timeout comes first", async () => {
      await runner.release()
      await drop()
      await open({}, { query_timeout: 200 })
      await openRunner()
      await failureOf(runner.query('SELECT pg_sleep(0.5)')) // the server still works on it
      await runner.startTransaction()
      for (const label of ['b', 'c']) {
        const failure = await failureOf(runner.query('INSERT INTO parcel (label) VALUES ($1)', [label]))
        expect(failure).to.be.instanceOf(QueryFailedError)
      }
      const call = backgrounded(row, { manager: runner.manager }).send('never')
      expect(await failureOf(call)).to.be.instanceOf(EnqueueError)
      await runner.rollbackTransaction().catch(() => {})
      expect(await labels()).to.deep.equal(['a'])
      expect(await drained()).to.deep.equal(['a first'])
    })

    it('survive a session that was swept clean', async () => {
      await runner.query('DISCARD ALL')
      await runner.startTransaction()
      await backgrounded(row, { manager: runner.manager }).send('never')
      const failure = await failureOf(runner.query('INSERT INTO parcel (label) VALUES ($1)', ['b']))
      expect(failure).to.be.instanceOf(QueryFailedError)
      await runner.rollbackTransaction()
      expect(await labels()).to.deep.equal(['a'])
      for (const word of ['home', 'away']) {
        await runner.startTransaction()
        await backgrounded(row, { manager: runner.manager }).send(word)
        await runner.commitTransaction()
      }
      expect(await drained()).to.deep.equal(['a away', 'a first', 'a home'])
    })

    it('cost behind a pooler no more, and need no statement that it may not know', async () => {
      await runner.release()
      await drop()
      await open({ listen: false })
      await openRunner()
      await runner.query('DEALLOCATE ALL')
      const trips = await roundTrips(runner, async () => {
        await runner.startTransaction()
        const b = await runner.manager.save(parcel('b'))
        await runner.query('DEALLOCATE ALL')
        await b.sendBackgrounded('home')
        await runner.commitTransaction()
      })
      expect(trips).to.equal(3)
    })
  })

  it('are there for the next statement of the transaction, and for nobody else', async () => {
    const row = await saved('a')
    const count = 'SELECT count(*)::int AS n FROM backgrounded_jobs'
    await dataSource.transaction(async (manager) => {
      await row.sendBackgrounded('home')
      await row.sendBackgrounded('away')
      expect(await manager.query(count)).to.deep.equal([{ n: 2 }])
      expect(await dataSource.query(count)).to.deep.equal([{ n: 0 }])
    })
    expect(await dataSource.query(count)).to.deep.equal([{ n: 2 }])
  })

  it('are due a delay after the call, however long the transaction goes on', async () => {
    const row = await saved('a')
    await dataSource.transaction(async (manager) => {
      await backgrounded(row, { manager, delay: 300 }).send('delayed')
      const due = performance.now() + 300
      await until(() => performance.now() > due)
    })
    expect(await drained()).to.deep.equal(['a delayed'])
  })

  it('are stored by a COMMIT that is written by hand', async () => {
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    const row = await runner.manager.save(parcel('a'))
    await row.sendBackgrounded('home')
    await runner.query('COMMIT -- by hand')
    await runner.rollbackTransaction()
    await runner.release()
    expect(await drained()).to.deep.equal(['a home'])
  })

  it('are stored, however many and however large they are', async () => {
    const row = await saved('a')
    await dataSource.transaction(async () => {
      for (let number = 0; number < 1_201; number++) await row.sendBackgrounded(String(number))
      for (let number = 0; number < 5; number++) await row.sendBackgrounded('x'.repeat(400_000))
    })
    expect(await drained()).to.have.length(1_206)
  })

  it('make the commit fail when their table is missing, and leave the connection as it was', async () => {
    const row = await saved('a')
    const failed: unknown[] = []
    backgroundedEvents(dataSource).on('enqueueFailed', ({ error }) => failed.push(error))
    const failure = await commitWithoutTable(row)
    expect(failure).to.be.instanceOf(EnqueueError)
    expect((failure?.cause as Error).message).to.contain('A job table is not in the database')
    expect(failed).to.have.length(1)
    expect(await dataSource.manager.countBy(Parcel, { label: 'never' })).to.equal(0)
    for (const word of ['one', 'two', 'three']) await dataSource.transaction(() => row.sendBackgrounded(word))
    expect(await drained()).to.deep.equal(['a one', 'a three', 'a two'])
  })

  it("follow their transaction with pg's own pipeline", async () => {
    await drop()
    await open({}, { pipeline: true })
    const row = await saved('a')
    await dataSource.transaction(() => row.sendBackgrounded('home'))
    const failure = await commitWithoutTable(row)
    expect(failure).to.be.instanceOf(EnqueueError)
    expect(await dataSource.manager.countBy(Parcel, { label: 'never' })).to.equal(0)
    expect(await drained()).to.deep.equal(['a home'])
  })

  it('say at once what can never be stored, and the transaction is rolled back', async () => {
    const row = await saved('a')
    let atOnce: unknown
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await manager.save(parcel('never'))
        atOnce = await failureOf(row.sendBackgrounded('x'.repeat(20_000_000)))
      }),
    )
    expect(atOnce).to.be.instanceOf(PayloadTooLargeError)
    expect(failure).to.be.instanceOf(EnqueueError)
    expect(await dataSource.manager.countBy(Parcel, { label: 'never' })).to.equal(0)
  })

  it('vanish with a commit that a deferred constraint refuses, with its own error', async () => {
    await dataSource.query('ALTER TABLE parcel ADD CONSTRAINT once UNIQUE (label) DEFERRABLE INITIALLY DEFERRED')
    const row = await saved('a')
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await manager.save(parcel('a'))
        await row.sendBackgrounded('never')
      }),
    )
    expect(failure).to.be.instanceOf(QueryFailedError)
    expect(failure).to.have.property('constraint', 'once')
    await dataSource.transaction(() => row.sendBackgrounded('later'))
    expect(await drained()).to.deep.equal(['a later'])
  })

  it('vanish with a transaction in which a statement failed, and its commit says so', async () => {
    const row = await saved('a')
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await manager.query('SELECT nonsense').catch(() => {})
        await row.sendBackgrounded('never')
      }),
    )
    expect(failure).to.be.instanceOf(EnqueueError)
    expect(await drained()).to.deep.equal([])
  })

  it('do not say that they were rolled back when the answer to the commit is lost', async () => {
    const row = await saved('a')
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        const [{ pid }] = (await manager.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }]
        await row.sendBackgrounded('never')
        await administer(`SELECT pg_terminate_backend(${pid})`)
      }),
    )
    expect(failure).to.be.instanceOf(Error).and.not.to.be.instanceOf(EnqueueError)
    await dataSource.transaction(() => row.sendBackgrounded('later'))
    expect(await drained()).to.deep.equal(['a later'])
  })

  it("do not say so either when pg's own timeout comes before the answer", async () => {
    await drop()
    await open({}, { query_timeout: 200 })
    const row = await saved('a')
    const holder = dataSource.createQueryRunner()
    await holder.startTransaction()
    await holder.query('LOCK TABLE backgrounded_jobs')
    const failure = await failureOf(dataSource.transaction(() => row.sendBackgrounded('never')))
    expect(failure).to.be.instanceOf(QueryFailedError)
    expect(failure?.message).to.contain('timeout')
    await holder.rollbackTransaction()
    await holder.release()
  })

  it('are stored when they come while the COMMIT is on its way, and never when it is a ROLLBACK', async () => {
    const row = await saved('a')
    const ends = ['commit', 'rollback'] as const
    for (const [end, options] of ends.flatMap((end) => [[end, {}] as const, [end, { delay: 1 }] as const])) {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      let late: Promise<unknown> | undefined
      const call = backgrounded(row, { ...options, manager: runner.manager })
      await whenSent(runner, () => (late = call.send(end)))
      await (end === 'commit' ? runner.commitTransaction() : runner.rollbackTransaction())
      await late
      await runner.release()
    }
    expect(await drained()).to.deep.equal(['a commit', 'a commit'])
    await dataSource.transaction(() => dataSource.query('SELECT 1')) // on both connections
    expect(await drained()).to.deep.equal(['a commit', 'a commit'])
  })

  it("are seen by TypeORM's logger", async () => {
    const row = await saved('a')
    const logged: string[] = []
    dataSource.logger.logQuery = (query) => void logged.push(query.slice(0, 11))
    await dataSource.transaction(() => row.sendBackgrounded('home'))
    expect(logged).to.deep.equal(['START TRANS', 'COMMIT', 'INSERT INTO'])
  })
})

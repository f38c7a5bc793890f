import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, QueryFailedError, type DataSource, type QueryRunner } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  drain,
  EnqueueError,
  PayloadTooLargeError,
  settled,
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
  const errors: string[] = []
  const logger = { ...silent, error: (_: object, message: string) => void errors.push(message) }

  before(async function () {
    await requirePostgres(this)
  })
  const open = async (options?: DatabaseHandlerOptions, extra = {}) => {
    const store = await createPostgres([Parcel], { poolSize: 2, extra })
    ;({ dataSource, drop } = store)
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(options), logger }).initialize()
  }
  beforeEach(async () => {
    ran.length = errors.length = 0
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
    it(`cost no round trip, because they are sent with its COMMIT${listen ? '' : ', behind a pooler too'}`, async () => {
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

  describe('cost as many round trips as without', () => {
    const steps = {
      save: (runner: QueryRunner) => runner.manager.save(parcel('b')),
      find: (runner: QueryRunner) => runner.manager.find(Parcel),
      update: (runner: QueryRunner) => runner.manager.update(Parcel, { label: 'b' }, { label: 'b' }),
    }
    const orders = ['', 'save', 'find', 'save find', 'save find update'].map((names) =>
      names.split(' ').filter(Boolean),
    )
    for (const names of orders) {
      for (let place = 0; place <= names.length; place++) {
        const description = names.toSpliced(place, 0, 'a call').join(', ')
        it(`in a transaction of ${description}`, async () => {
          const row = await saved('a')
          const runner = dataSource.createQueryRunner()
          const transaction = (calls: boolean) =>
            roundTrips(runner, async () => {
              await runner.startTransaction()
              for (let index = 0; index <= names.length; index++) {
                if (calls && index === place) await backgrounded(row, { manager: runner.manager }).send('home')
                const step = names[index]
                if (step) await steps[step as keyof typeof steps](runner)
              }
              await runner.commitTransaction()
            })
          await runner.connect()
          expect(await transaction(true)).to.equal(await transaction(false))
          await runner.release()
          expect(await drained()).to.deep.equal(['a home'])
        })
      }
    }
  })

  it('leave nothing on the client, in its session, or on the runner', async () => {
    const row = await saved('a')
    const runner = dataSource.createQueryRunner()
    const client = (await runner.connect()) as object
    const before = { client: Reflect.ownKeys(client), runner: Reflect.ownKeys(runner) }
    for (const end of ['commitTransaction', 'rollbackTransaction'] as const) {
      await runner.startTransaction()
      await backgrounded(row, { manager: runner.manager }).send(end)
      await runner[end]()
      expect({ client: Reflect.ownKeys(client), runner: Reflect.ownKeys(runner) }).to.deep.equal(before)
    }
    expect(await runner.query('SELECT * FROM pg_prepared_statements')).to.deep.equal([])
    await runner.release()
  })

  it('are not seen by other statements, even when they will be refused', async () => {
    const row = await saved('a')
    await dataSource.query('ALTER TABLE backgrounded_jobs RENAME TO elsewhere')
    const seen: unknown[] = []
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await row.sendBackgrounded('never')
        seen.push(await manager.query('SELECT 1 AS one'))
        await manager.transaction(async (inner) => {
          seen.push(await inner.query('SELECT 2 AS two'))
        })
        seen.push(await manager.query('SELECT 3 AS three'))
      }),
    )
    expect(seen).to.deep.equal([[{ one: 1 }], [{ two: 2 }], [{ three: 3 }]])
    expect(failure).to.be.instanceOf(EnqueueError).with.property('code', 'ENQUEUE_FAILED')
    expect((failure?.cause as Error).message).to.contain('A job table is not in the database')
  })

  it('are dropped if the runner is released before its transaction has ended', async () => {
    const row = await saved('a')
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await backgrounded(row, { manager: runner.manager }).send('never')
    await runner.query('ROLLBACK AND CHAIN')
    await runner.query('COMMIT')
    await runner.release()
    const abandoned = dataSource.createQueryRunner()
    await abandoned.startTransaction()
    await backgrounded(row, { manager: abandoned.manager }).send('never')
    await abandoned.release()
    await dataSource.transaction(() => row.sendBackgrounded('home'))
    await dataSource.transaction(() => row.sendBackgrounded('away'))
    expect(await drained()).to.deep.equal(['a away', 'a home'])
  })

  it('follow a savepoint that is made with a statement', async () => {
    const row = await saved('a')
    await dataSource.transaction(async (manager) => {
      await row.sendBackgrounded('before')
      await manager.query('SAVEPOINT mine')
      await row.sendBackgrounded('never')
      await manager.query('SAVEPOINT inner_one')
      await row.sendBackgrounded('never')
      await manager.query('RELEASE SAVEPOINT inner_one')
      await manager.query('ROLLBACK TO SAVEPOINT mine')
      await row.sendBackgrounded('after')
    })
    expect(await drained()).to.deep.equal(['a after', 'a before'])
  })

  it('do not change the error code of a transaction that has lost a conflict', async () => {
    const row = await saved('a')
    const failure = await failureOf(
      dataSource.transaction('SERIALIZABLE', async (manager) => {
        await manager.find(Parcel)
        await manager.save(parcel('mine'))
        await row.sendBackgrounded('never')
        await dataSource.transaction('SERIALIZABLE', async (other) => {
          await other.find(Parcel)
          await other.save(parcel('theirs'))
        })
      }),
    )
    expect(failure).to.be.instanceOf(QueryFailedError).with.property('code', '40001')
    expect(failure).to.have.property('query', 'COMMIT')
    expect(await drained()).to.deep.equal([])
  })

  it('leave that code as it is also where they are written before a savepoint', async () => {
    const row = await saved('a')
    await dataSource.query(
      `CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'lost' USING ERRCODE = '40001'; END $$`,
    )
    await dataSource.query(
      'CREATE TRIGGER lose BEFORE INSERT ON backgrounded_jobs FOR EACH ROW EXECUTE FUNCTION lose()',
    )
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await row.sendBackgrounded('never')
        await manager.transaction(() => Promise.resolve())
      }),
    )
    expect(failure).to.be.instanceOf(QueryFailedError).with.property('code', '40001')
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

  it('are stored by a COMMIT that is sent as a statement', async () => {
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

  it('make the commit fail when the server refuses some that are on their way', async () => {
    const row = await saved('a')
    await dataSource.query(`ALTER TABLE backgrounded_jobs ADD CHECK (args <> '["refused"]')`)
    const failure = await failureOf(
      dataSource.transaction(async (manager) => {
        await manager.save(parcel('never'))
        for (let number = 0; number < 600; number++) void row.sendBackgrounded(number === 0 ? 'refused' : 'never')
      }),
    )
    expect(failure).to.have.property('code', 'ENQUEUE_FAILED')
    expect(await dataSource.manager.countBy(Parcel, { label: 'never' })).to.equal(0)
    expect(await drained()).to.deep.equal([])
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

  it('are refused at once if they can never be stored, and leave the transaction to the application', async () => {
    const row = await saved('a')
    let atOnce: unknown
    await dataSource.transaction(async (manager) => {
      await manager.save(parcel('b'))
      atOnce = await failureOf(row.sendBackgrounded('x'.repeat(20_000_000)))
      await row.sendBackgrounded('home')
    })
    expect(atOnce).to.be.instanceOf(PayloadTooLargeError)
    expect(await dataSource.manager.countBy(Parcel, { label: 'b' })).to.equal(1)
    expect(await drained()).to.deep.equal(['a home'])
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

  it('vanish with a transaction in which a statement failed, whose commit ends as TypeORM has it', async () => {
    const row = await saved('a')
    const warned: string[] = []
    const warn = (_: object, message: string) => void warned.push(message)
    withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: { ...silent, warn } })
    for (const isFirst of [true, false]) {
      await dataSource.transaction(async (manager) => {
        if (isFirst) await row.sendBackgrounded('never')
        await manager.query('SELECT nonsense').catch(() => {})
        if (!isFirst) await row.sendBackgrounded('never')
      })
    }
    expect(warned).to.have.length(2)
    expect(warned[0]).to.contain('rolled a transaction back at its COMMIT')
    expect(await drained()).to.deep.equal([])
  })

  it('vanish with such a transaction also when they fill several statements', async () => {
    const row = await saved('a')
    await dataSource.transaction(async (manager) => {
      await manager.query('SELECT nonsense').catch(() => {})
      await Promise.all(Array.from({ length: 510 }, () => row.sendBackgrounded('never')))
    })
    expect(await drained()).to.deep.equal([])
  })

  it('are not reported as rolled back when the answer to the commit is lost', async () => {
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

  it("are not reported as rolled back either when pg's own timeout comes before the answer", async () => {
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

  it('are stored when they come while the COMMIT of earlier ones is on its way, and never when its answer is ROLLBACK', async () => {
    const row = await saved('a')
    for (const isBroken of [false, true]) {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const call = backgrounded(row, { manager: runner.manager })
      await call.send(isBroken ? 'never' : 'early')
      if (isBroken) await runner.query('SELECT nonsense').catch(() => {})
      let late: Promise<unknown> | undefined
      await whenSent(runner, () => (late = call.send(isBroken ? 'never' : 'late')))
      await runner.commitTransaction()
      await late
      await runner.release()
    }
    await settled(dataSource)
    expect(await drained()).to.deep.equal(['a early', 'a late'])
    expect(errors).to.deep.equal([])
  })

  it("are seen by TypeORM's logger", async () => {
    const row = await saved('a')
    const logged: string[] = []
    dataSource.logger.logQuery = (query) => void logged.push(query.slice(0, 11))
    await dataSource.transaction(() => row.sendBackgrounded('home'))
    expect(logged).to.deep.equal(['START TRANS', 'INSERT INTO'])
  })
})

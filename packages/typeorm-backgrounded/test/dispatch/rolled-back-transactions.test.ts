import { expect } from 'chai'
import {
  Column,
  Entity,
  MoreThan,
  PrimaryGeneratedColumn,
  type DataSource,
  type EntityManager,
  type QueryRunner,
} from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  drain,
  EnqueueError,
  settled,
  withBackgrounded,
  type InBackground,
} from '../../src'
import { withResolver } from '../../src/concurrency/sleep'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

const ran: string[] = []

@Entity()
class Crate {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded()
  carry(word: string): void {
    ran.push(`${this.label} ${word}`)
  }
  declare carryBackgrounded: InBackground<Crate['carry']>
}

const handlers = [
  { name: 'DatabaseHandler', make: () => new DatabaseHandler() },
  { name: 'a handler outside the database, without an outbox', make: () => new FakeHandler(), outbox: false },
  { name: 'a handler outside the database, with an outbox', make: () => new FakeHandler(), outbox: true },
]

for (const store of [sqliteFile, postgres, mariaDb]) {
  for (const { name, make, outbox } of handlers) {
    describe(`a transaction that is rolled back: ${store.name}, ${name}`, () => {
      let dataSource: DataSource
      let drop: () => Promise<void>

      before(async function () {
        await store.require(this)
      })
      beforeEach(async () => {
        ran.length = 0
        ;({ dataSource, drop } = await store.create([Crate]))
        await withBackgrounded(dataSource, { handler: make(), outbox, logger: silent }).initialize()
      })
      afterEach(() => drop())

      const crate = (label: string) => Object.assign(new Crate(), { label })
      const saved = () => dataSource.manager.save(crate('old'))
      const drained = async () => {
        await settled(dataSource)
        await drain(dataSource)
        return ran.toSorted()
      }
      const errorOf = (work: Promise<unknown>) =>
        work.then(
          () => undefined,
          (error: unknown) => error,
        )

      it('refuses the call of a branch that goes on when another one has failed', async () => {
        const row = await saved()
        const isOver = withResolver()
        let late: Promise<unknown> | undefined
        const transaction = dataSource.transaction((manager) => {
          const branch = async () => {
            await manager.save(Object.assign(row, { label: 'new' }))
            await isOver.promise
            await row.carryBackgrounded('late')
          }
          late = errorOf(branch())
          return new Promise((_, reject) => setImmediate(() => reject(new Error('the other branch'))))
        })
        expect(await errorOf(transaction)).to.match(/the other branch/)
        isOver.resolve()
        expect(await late).to.be.instanceOf(EnqueueError)
        expect(await drained()).to.deep.equal([])
      })

      it('refuses the call of such a branch of a savepoint, and takes those of the transaction around it', async () => {
        const row = await saved()
        const isOver = withResolver()
        let late: Promise<unknown> | undefined
        await dataSource.transaction(async (manager) => {
          const inner = manager.transaction(() => {
            late = errorOf(isOver.promise.then(() => row.carryBackgrounded('late')))
            throw new Error('the savepoint')
          })
          expect(await errorOf(inner)).to.match(/the savepoint/)
          isOver.resolve()
          await late
          await row.carryBackgrounded('around')
        })
        expect(await late).to.be.instanceOf(EnqueueError)
        expect(await drained()).to.deep.equal(['old around'])
      })

      it('takes the call of a branch that goes on after the commit', async () => {
        const row = await saved()
        const isOver = withResolver()
        let late: Promise<unknown> | undefined
        await dataSource.transaction(async () => {
          late = isOver.promise.then(() => row.carryBackgrounded('late'))
          return Promise.resolve()
        })
        isOver.resolve()
        await late
        expect(await drained()).to.deep.equal(['old late'])
      })

      it('refuses a call with its manager', async function () {
        if (store === sqliteFile) this.skip() // all transactions share one manager, and it is never released
        const row = await saved()
        let ended: EntityManager | undefined
        const transaction = dataSource.transaction((manager) => {
          ended = manager
          throw new Error('rolled back')
        })
        expect(await errorOf(transaction)).to.match(/rolled back/)
        expect(await errorOf(backgrounded(row, { manager: ended }).carry('late'))).to.be.instanceOf(EnqueueError)
        expect(await drained()).to.deep.equal([])
      })
    })
  }
}

for (const { name, make, outbox } of handlers) {
  describe(`a transaction that the database itself rolls back: ${name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    beforeEach(() => void (ran.length = 0))
    afterEach(() => drop?.())

    const open = async (store: typeof mariaDb) => {
      ;({ dataSource, drop } = await store.create([Crate]))
      await withBackgrounded(dataSource, { handler: make(), outbox, logger: silent }).initialize()
    }
    const saved = (label: string) => dataSource.manager.save(Object.assign(new Crate(), { label }))
    const drained = async () => {
      await settled(dataSource)
      await drain(dataSource)
      return ran.toSorted()
    }

    it('takes its calls with it after a deadlock whose error is swallowed, on MariaDB', async function () {
      await mariaDb.require(this)
      await open(mariaDb)
      const [first, second, called] = [await saved('first'), await saved('second'), await saved('called')]
      const heavy = await heavyTransaction(dataSource, second)
      await dataSource.transaction(async (manager) => {
        await manager.update(Crate, called.id, { label: 'changed' })
        await called.carryBackgrounded('before the deadlock')
        await manager.update(Crate, first.id, { label: 'changed' })
        const deadlock = manager.update(Crate, second.id, { label: 'changed' })
        const other = heavy.manager.update(Crate, first.id, { label: 'changed too' })
        expect(await deadlock.catch((error: { code: string }) => error.code)).to.equal('ER_LOCK_DEADLOCK')
        await other
      })
      await heavy.rollbackTransaction()
      await heavy.release()
      expect(await drained()).to.deep.equal([])
    })

    it('takes its calls with it after RAISE(ROLLBACK), on SQLite', async () => {
      await open(sqliteFile)
      const row = await saved('old')
      await dataSource.query(
        `CREATE TRIGGER refuse BEFORE INSERT ON crate WHEN new.label = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'refused'); END`,
      )
      const commit = dataSource.transaction(async (manager) => {
        await row.carryBackgrounded('before')
        await manager.query(`INSERT INTO crate (label) VALUES ('bad')`).catch(() => {})
      })
      expect(await commit.catch((error: Error) => error.message)).to.match(/no transaction is active/)
      expect(await drained()).to.deep.equal([])
    })

    it('takes its calls with it at a COMMIT with a comment, on Postgres', async function () {
      await postgres.require(this)
      await open(postgres)
      const row = await saved('old')
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      await backgrounded(row, { manager: runner.manager }).carry('before')
      await runner.query('SELECT no_such_column').catch(() => {})
      await runner.query('commit /* traced */')
      await runner.release()
      expect(await drained()).to.deep.equal([])
    })

    it('ends, although it has more calls than go in one statement, on Postgres', async function () {
      await postgres.require(this)
      await open(postgres)
      const row = await saved('old')
      let statements = 0
      dataSource.subscribers.push({ beforeQuery: () => void statements++ })
      await dataSource.transaction(async (manager) => {
        await manager.query('SELECT no_such_column').catch(() => {})
        for (let call = 0; call < 1_200; call++) await row.carryBackgrounded(String(call))
      })
      expect(statements).to.be.below(10)
      expect(await drained()).to.deep.equal([])
    })
  })
}

/** One that MariaDB does not choose as the victim of a deadlock, because it has changed more rows, and that has locked `row`. */
async function heavyTransaction(dataSource: DataSource, row: Crate): Promise<QueryRunner> {
  const rows = Array.from({ length: 50 }, () => ({ label: 'heavy' }))
  await dataSource.manager.insert(Crate, rows)
  const runner = dataSource.createQueryRunner()
  await runner.startTransaction()
  await runner.manager.update(Crate, { id: MoreThan(row.id + 1) }, { label: 'heavier' }) // not the rows of the test
  await runner.manager.update(Crate, row.id, { label: 'locked' })
  return runner
}

import { AssertionError, expect } from 'chai'
import { AfterInsert, Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  drain,
  EnqueueError,
  settled,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
  type InBackground,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { administer, createPostgres, requirePostgres } from '../support/postgres'
import { until } from '../support/worker-process'

const ran: string[] = []
let listening = false

@Entity()
class Account {
  @PrimaryGeneratedColumn() id!: number
  @Column({ unique: true }) name!: string

  @Backgrounded()
  greet(word: string): void {
    ran.push(`${this.name} ${word}`)
  }
  declare greetBackgrounded: InBackground<Account['greet']>

  @AfterInsert() async listen(): Promise<void> {
    if (listening) await this.greetBackgrounded('listener')
  }
}

@Entity()
class Elsewhere {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() ping(): void {
    ran.push('ping')
  }
  declare pingBackgrounded: InBackground<Elsewhere['ping']>
}

interface Store {
  dataSource: DataSource
  drop: () => Promise<void>
}

const stores: { name: string; needsPostgres?: boolean; open: (handler: Handler) => Promise<Store> }[] = [
  { name: 'SQLite in memory', open: async (handler) => sqlite(inMemory([Account]), handler) },
  { name: 'SQLite in a file', open: async (handler) => sqlite(inFile([Account]), handler) },
  { name: 'Postgres', needsPostgres: true, open: postgres },
]
const handlers: { name: string; make: () => Handler }[] = [
  { name: 'SynchronousHandler', make: () => new SynchronousHandler() },
  { name: 'FakeHandler', make: () => new FakeHandler() },
  { name: 'DatabaseHandler', make: () => new DatabaseHandler() },
]

async function sqlite(dataSource: DataSource, handler: Handler): Promise<Store> {
  await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
  return { dataSource, drop: async () => dataSource.isInitialized && dataSource.destroy() } as Store
}

async function postgres(handler: Handler): Promise<Store> {
  const store = await createPostgres([Account], { poolSize: 4 })
  await withBackgrounded(store.dataSource, { handler, logger: silent }).initialize()
  return store
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

for (const { name: storeName, needsPostgres, open } of stores) {
  for (const { name: handlerName, make } of handlers) {
    describe(`a call follows its transaction: ${handlerName}, ${storeName}`, () => {
      let store: Store
      let dataSource: DataSource
      let handler: Handler

      before(async function () {
        if (needsPostgres) await requirePostgres(this)
      })
      beforeEach(async () => {
        ran.length = 0
        handler = make()
        store = await open(handler)
        dataSource = store.dataSource
      })
      afterEach(() => store?.drop())

      let names = 0
      const account = (name = `a${++names}`) => Object.assign(new Account(), { name })
      const saved = (name?: string): Promise<Account> => dataSource.manager.save(account(name))
      const outcome = async () => {
        await settled(dataSource)
        await drain(dataSource)
        return [...ran].sort()
      }

      it('runs after a commit, on a row that was saved in the same transaction', async () => {
        await dataSource.transaction(async (manager) => {
          const receipt = await (await manager.save(account('new'))).greetBackgrounded('hello')
          expect(receipt.state).to.equal('deferred')
        })
        expect(await outcome()).to.deep.equal(['new hello'])
      })

      it('never runs after a rollback', async () => {
        const row = await saved('kept')
        await dataSource
          .transaction(async (manager) => {
            await manager.save(Object.assign(row, { name: 'changed' }))
            await row.greetBackgrounded('never')
            throw new Error('roll back')
          })
          .catch(() => {})
        expect(await outcome()).to.deep.equal([])
      })

      it('is found in a hand-started transaction through an entity that was saved or loaded in it', async () => {
        const row = await saved('loaded')
        const runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        const created = await runner.manager.save(account('created'))
        const loaded = await runner.manager.findOneByOrFail(Account, { id: row.id })
        expect((await created.greetBackgrounded('one')).state).to.equal('deferred')
        expect((await loaded.greetBackgrounded('two')).state).to.equal('deferred')
        await runner.rollbackTransaction()
        await runner.startTransaction()
        const again = await runner.manager.findOneByOrFail(Account, { id: row.id })
        await again.greetBackgrounded('three')
        await runner.commitTransaction()
        await runner.release()
        expect(await outcome()).to.deep.equal(['loaded three'])
      })

      it('follows a hand-started transaction with { manager }', async () => {
        const row = await saved('row')
        const runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        await backgrounded(row, { manager: runner.manager }).greet('never')
        await runner.rollbackTransaction()
        await runner.startTransaction()
        await backgrounded(row, { manager: runner.manager }).greet('hello')
        await runner.commitTransaction()
        await runner.release()
        expect(await outcome()).to.deep.equal(['row hello'])
      })

      it('follows its savepoint when that rolls back', async () => {
        const row = await saved('row')
        await dataSource.transaction(async (manager) => {
          await row.greetBackgrounded('outer')
          await manager
            .transaction(async (inner) => {
              await (await inner.save(account('inner'))).greetBackgrounded('inner')
              await inner.transaction(() => row.greetBackgrounded('innermost'))
              throw new Error('roll back')
            })
            .catch(() => {})
          await row.greetBackgrounded('after')
        })
        expect(await outcome()).to.deep.equal(['row after', 'row outer'])
      })

      it('follows its released savepoint when the transaction rolls back', async () => {
        const row = await saved('row')
        await dataSource
          .transaction(async (manager) => {
            await manager.transaction(() => row.greetBackgrounded('inner'))
            throw new Error('roll back')
          })
          .catch(() => {})
        expect(await outcome()).to.deep.equal([])
      })

      it('keeps to a savepoint that is written by hand', async () => {
        const row = await saved('row')
        await dataSource.transaction(async (manager) => {
          await row.greetBackgrounded('before')
          await manager.query('SAVEPOINT a')
          await row.greetBackgrounded('first in it')
          await row.greetBackgrounded('second in it')
          await manager.query('ROLLBACK TO SAVEPOINT a')
          await row.greetBackgrounded('after')
        })
        expect(await outcome()).to.deep.equal(['row after', 'row before'])
      })

      it('keeps to the outer one of two savepoints of the same name, once the inner one was released', async () => {
        const row = await saved('row')
        await dataSource.transaction(async (manager) => {
          await row.greetBackgrounded('before')
          await manager.query('SAVEPOINT a')
          await row.greetBackgrounded('outer')
          await manager.query('SAVEPOINT a')
          await row.greetBackgrounded('inner')
          await manager.query('RELEASE SAVEPOINT a')
          await manager.query('ROLLBACK TO SAVEPOINT a')
        })
        expect(await outcome()).to.deep.equal(['row before'])
      })

      it('is committed without being awaited, and written before the next savepoint', async () => {
        const row = await saved('row')
        await dataSource.transaction(async (manager) => {
          void row.greetBackgrounded('outer')
          await manager
            .transaction(async () => {
              void row.greetBackgrounded('inner')
              throw new Error('roll back')
            })
            .catch(() => {})
          void row.greetBackgrounded('last')
        })
        expect(await outcome()).to.deep.equal(['row last', 'row outer'])
      })

      it('goes out at once with manager: null', async () => {
        const row = await saved('row')
        await dataSource
          .transaction(async (manager) => {
            await manager.save(account())
            await backgrounded(row, { manager: null }).greet('anyway')
            throw new Error('roll back')
          })
          .catch(() => {})
        expect(await outcome()).to.deep.equal(['row anyway'])
      })

      it('goes out at once after the transaction in which its entity was loaded has ended', async () => {
        const row = await dataSource.transaction((manager) => manager.save(account('row')))
        expect((await row.greetBackgrounded('now')).state).to.be.oneOf(['enqueued', 'performed'])
        expect(await outcome()).to.deep.equal(['row now'])
      })

      it('goes out at once from code that goes on after the transaction around it has ended', async () => {
        const row = await saved('row')
        let end = () => {}
        const ended = new Promise<void>((resolve) => (end = resolve))
        let late = Promise.resolve({ state: '' })
        await dataSource.transaction(() => {
          late = ended.then(() => row.greetBackgrounded('late'))
          return Promise.resolve()
        })
        end()
        expect((await late).state).to.be.oneOf(['enqueued', 'performed'])
        expect(await outcome()).to.deep.equal(['row late'])
      })

      it('follows several saves of one row, and fails with a commit that fails', async () => {
        await saved('taken')
        await dataSource
          .transaction(async (manager) => {
            const row = await manager.save(account('first'))
            await row.greetBackgrounded('one')
            await manager.save(Object.assign(row, { name: 'second' }))
            await row.greetBackgrounded('two')
            await manager.save(account('taken'))
          })
          .catch(() => {})
        expect(await outcome()).to.deep.equal([])
      })

      it("follows the transaction of a save, from the entity's own listener and from a subscriber", async () => {
        const failing = {
          listenTo: () => Account,
          afterInsert: async ({ entity }: { entity: Account }) => {
            await entity.greetBackgrounded('subscriber')
            if (entity.name === 'refused') throw new Error('roll back')
          },
        }
        dataSource.subscribers.push(failing)
        listening = true
        await dataSource.manager.save(account('refused')).catch(() => {})
        expect(await outcome()).to.deep.equal([])
        await dataSource.manager.save(account('kept'))
        listening = false
        expect(await outcome()).to.deep.equal(['kept listener', 'kept subscriber'])
      })

      it('emits enqueued after the commit, and nothing after a rollback', async () => {
        const row = await saved('row')
        const seen: string[] = []
        backgroundedEvents(dataSource).on('enqueued', ({ job }) => seen.push(job.id))
        let id = ''
        await dataSource.transaction(async () => {
          id = (await row.greetBackgrounded('hello')).id
          expect(seen).to.deep.equal([])
        })
        await dataSource.transaction(async () => Promise.reject(await row.greetBackgrounded('x'))).catch(() => {})
        await settled(dataSource)
        expect(seen).to.deep.equal([id])
      })

      if (storeName !== 'Postgres') return

      it('keeps two concurrent transactions apart', async () => {
        const row = await saved('row')
        let release = () => {}
        const gate = new Promise<void>((resolve) => (release = resolve))
        const lost = dataSource.transaction(async () => {
          await row.greetBackgrounded('lost')
          await gate
          throw new Error('roll back')
        })
        const kept = dataSource.transaction(async () => {
          await row.greetBackgrounded('kept')
          release()
        })
        const beside = row.greetBackgrounded('beside')
        await Promise.allSettled([lost, kept, beside])
        expect(await outcome()).to.deep.equal(['row beside', 'row kept'])
      })

      it('follows the transaction that its entity was loaded in, also in the callback of another one', async () => {
        const { id } = await saved('row')
        const runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        const loaded = await runner.manager.findOneByOrFail(Account, { id })
        await dataSource.transaction(() => loaded.greetBackgrounded('never'))
        await runner.rollbackTransaction()
        await runner.release()
        expect(await outcome()).to.deep.equal([])
      })

      it('runs after a COMMIT that is sent as a statement, and never after such a ROLLBACK', async () => {
        const row = await saved('row')
        for (const end of ['COMMIT', 'ROLLBACK']) {
          const runner = dataSource.createQueryRunner()
          await runner.startTransaction()
          await backgrounded(row, { manager: runner.manager }).greet(end)
          await runner.query(end)
          await runner.rollbackTransaction().catch(() => {})
          await runner.release()
        }
        expect(await outcome()).to.deep.equal(['row COMMIT'])
      })

      it('does not run if the COMMIT is answered with ROLLBACK', async () => {
        const row = await saved('row')
        await dataSource.transaction(async (manager) => {
          await row.greetBackgrounded('never')
          await manager.query('SELECT nonsense').catch(() => {})
        })
        expect(await outcome()).to.deep.equal([])
      })

      it('does not run if the connection is lost before the commit', async () => {
        const row = await saved('row')
        const failure = await dataSource
          .transaction(async (manager) => {
            const [{ pid }] = (await manager.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }]
            await row.greetBackgrounded('never')
            await administer(`SELECT pg_terminate_backend(${pid})`)
            await manager.query('SELECT 1').catch(() => {})
            await until(() => manager.queryRunner?.isReleased === true) // TypeORM has heard of it
            const late = await row.greetBackgrounded('late').catch((error: unknown) => error)
            expect(late).to.be.instanceOf(EnqueueError)
          })
          .catch((error: unknown) => error)
        expect(failure).to.be.instanceOf(Error).and.not.to.be.instanceOf(AssertionError)
        expect(await outcome()).to.deep.equal([])
        await row.greetBackgrounded('later')
        expect(await outcome()).to.deep.equal(['row later'])
      })

      it('is delivered when commits use all connections of the pool', async () => {
        const row = await saved('row')
        await Promise.all(
          Array.from({ length: 12 }, (_, index) => dataSource.transaction(() => row.greetBackgrounded(String(index)))),
        )
        expect(await outcome()).to.have.length(12)
      })
    })
  }
}

describe('a call among several data sources', () => {
  it('goes to the one that has its class, and follows its own transaction only', async () => {
    const [one, two] = [new FakeHandler(), new FakeHandler()]
    const here = await withBackgrounded(inMemory([Account]), { handler: one, source: 'here' }).initialize()
    const there = await withBackgrounded(inMemory([Elsewhere]), { handler: two, source: 'there' }).initialize()
    const account = await here.manager.save(Object.assign(new Account(), { name: 'a' }))
    const elsewhere = await there.manager.save(new Elsewhere())
    await here
      .transaction(async () => {
        await account.greetBackgrounded('never')
        expect((await elsewhere.pingBackgrounded()).state).to.equal('enqueued')
        throw new Error('roll back')
      })
      .catch(() => {})
    await Promise.all([settled(here), settled(there)])
    expect([one.jobs.length, two.jobs.map(({ source }) => source)]).to.deep.equal([0, ['there']])
    await Promise.all([here.destroy(), there.destroy()])
  })

  it('is ambiguous if two have its class, unless a transaction or { manager } names one', async () => {
    const [one, two] = [new FakeHandler(), new FakeHandler()]
    const first = await withBackgrounded(inMemory([Account]), { handler: one, source: 'one' }).initialize()
    const second = await withBackgrounded(inMemory([Account]), { handler: two, source: 'two' }).initialize()
    const account = await second.manager.save(Object.assign(new Account(), { name: 'a' }))
    const failure = await account.greetBackgrounded('x').catch((error: unknown) => error)
    expect(failure).to.have.property('code', 'AMBIGUOUS_DATA_SOURCE')
    await backgrounded(account, { manager: second.manager }).greet('by manager')
    await second.transaction(() => account.greetBackgrounded('by transaction'))
    await settled(second)
    expect([one.jobs.length, two.jobs.map(({ args }) => args[0])]).to.deep.equal([0, ['by manager', 'by transaction']])
    await Promise.all([first.destroy(), second.destroy()])
  })

  it('is refused before initialize() and after destroy()', async () => {
    const dataSource = withBackgrounded(inMemory([Account]), { handler: new FakeHandler() })
    const account = Object.assign(new Account(), { id: 1, name: 'a' })
    const before = await account.greetBackgrounded('x').catch((error: unknown) => error)
    await dataSource.initialize()
    await dataSource.destroy()
    const after = await account.greetBackgrounded('x').catch((error: unknown) => error)
    expect([before, after].map((error) => (error as { code: string }).code)).to.deep.equal([
      'NOT_ATTACHED',
      'NOT_ATTACHED',
    ])
  })
})

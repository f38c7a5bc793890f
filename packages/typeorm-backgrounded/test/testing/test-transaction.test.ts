import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type EntityManager, type QueryRunner } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  currentJob,
  drain,
  settled,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
} from '../../src'
import { BackgroundedJob, DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler, insideTestTransaction } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { createMariaDb, requireMariaDb } from '../support/mariadb'
import { createPostgres, requirePostgres } from '../support/postgres'

const ran: string[] = []
const silent = { debug() {}, info() {}, warn() {}, error() {} }

@Entity()
class Order {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string

  @Backgrounded() ship(): void {
    ran.push(`ship ${this.title}`)
  }
  @Backgrounded() async rename(title: string): Promise<void> {
    await currentJob().manager.update(Order, this.id, { title })
    ran.push(`rename ${title}`)
  }
}

@Entity()
class Audited {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @AfterCommitBackgrounded() audit(): void {
    ran.push(`audit ${this.title}`)
  }
}

interface Store {
  dataSource: DataSource
  drop: () => Promise<void>
}

const sqlite = (dataSource: DataSource): Promise<Store> =>
  Promise.resolve({ dataSource, drop: () => dataSource.destroy() })
const entities = [Order, Audited]
const stores: { name: string; require?: (context: Mocha.Context) => Promise<void>; open: () => Promise<Store> }[] = [
  { name: 'SQLite in memory', open: () => sqlite(inMemory(entities)) },
  { name: 'SQLite in a file', open: () => sqlite(inFile(entities)) },
  { name: 'Postgres', require: requirePostgres, open: () => createPostgres(entities, { poolSize: 3 }) },
  { name: 'MariaDB', require: requireMariaDb, open: () => createMariaDb(entities, { poolSize: 3 }) },
]
const handlers: { name: string; make: () => Handler }[] = [
  { name: 'SynchronousHandler', make: () => new SynchronousHandler() },
  { name: 'FakeHandler', make: () => new FakeHandler() },
  { name: 'DatabaseHandler', make: () => new DatabaseHandler() },
]

for (const { name: storeName, require: requireStore, open } of stores) {
  for (const { name: handlerName, make } of handlers) {
    describe(`inside the test's own transaction: ${handlerName}, ${storeName}`, () => {
      let dataSource: DataSource
      let drop: () => Promise<void>
      let runner: QueryRunner
      let manager: EntityManager

      before(async function () {
        await requireStore?.(this)
        ;({ dataSource, drop } = await open())
        await withBackgrounded(dataSource, { handler: make(), logger: silent }).initialize()
      })
      beforeEach(async () => {
        ran.length = 0
        runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        insideTestTransaction(runner)
        manager = runner.manager
      })
      afterEach(async () => {
        if (!runner.isReleased) {
          if (runner.isTransactionActive) await runner.rollbackTransaction()
          await runner.release()
        }
      })
      after(() => drop?.())

      const order = (title = 'book') => manager.save(Object.assign(new Order(), { title }))
      const work = async () => {
        await settled(dataSource)
        await drain(dataSource)
      }

      it('a call outside any transaction of the code goes out at once and finds its row', async () => {
        const { state } = await backgrounded(await order()).ship()
        expect(state).to.be.oneOf(['enqueued', 'performed'])
        await work()
        expect(ran).to.deep.equal(['ship book'])
      })

      it('a transaction of the code counts as committed when its savepoint is released', async () => {
        await manager.transaction(async (inner) => {
          const row = await inner.save(Object.assign(new Order(), { title: 'inner' }))
          const { state } = await backgrounded(row).ship()
          expect(state).to.equal('deferred')
          await settled(dataSource)
          expect(ran).to.deep.equal([])
        })
        await work()
        expect(ran).to.deep.equal(['ship inner'])
      })

      it('a transaction of the code that rolls back drops only its own jobs', async () => {
        const row = await order('outer')
        await backgrounded(row).ship()
        await manager
          .transaction(async (inner) => {
            const own = await inner.save(Object.assign(new Order(), { title: 'inner' }))
            await backgrounded(own).ship()
            throw new Error('roll back')
          })
          .catch(() => {})
        await work()
        expect(ran).to.deep.equal(['ship outer'])
      })

      it('calls in nested transactions of the code go out with the outermost one', async () => {
        await manager.transaction(async (outer) => {
          await outer.transaction(async (inner) => {
            const row = await inner.save(Object.assign(new Order(), { title: 'nested' }))
            await backgrounded(row).ship()
          })
          await settled(dataSource)
          expect(ran).to.deep.equal([])
        })
        await work()
        expect(ran).to.deep.equal(['ship nested'])
      })

      it('an outer rollback drops the calls of a committed inner transaction', async () => {
        await manager
          .transaction(async (outer) => {
            await outer.transaction(async (inner) => {
              const row = await inner.save(Object.assign(new Order(), { title: 'nested' }))
              await backgrounded(row).ship()
            })
            throw new Error('roll back')
          })
          .catch(() => {})
        await work()
        expect(ran).to.deep.equal([])
      })

      if (!requireStore) {
        it("the data source's own transaction() is a savepoint of the test's one connection", async () => {
          await dataSource.transaction(async (inner) => {
            const row = await inner.save(Object.assign(new Order(), { title: 'service' }))
            expect((await backgrounded(row).ship()).state).to.equal('deferred')
          })
          await work()
          expect(ran).to.deep.equal(['ship service'])
        })
      }

      it('a method after the commit of a save runs', async () => {
        await manager.save(Object.assign(new Audited(), { title: 'saved' }))
        await work()
        expect(ran).to.deep.equal(['audit saved'])
      })

      it("a method works on the test's own transaction, and all of it is gone at the end", async function () {
        this.timeout(5_000)
        const row = await order()
        const held = backgrounded(row).rename('renamed')
        const isOver = await Promise.race([
          held.then(() => work()).then(() => true),
          new Promise((done) => setTimeout(() => done(false), 2_000)),
        ])
        expect(isOver, 'the method ends: it does not wait for the test that waits for it').to.equal(true)
        expect(ran).to.deep.equal(['rename renamed'])
        expect((await manager.findOneByOrFail(Order, { id: row.id })).title).to.equal('renamed')
        await runner.rollbackTransaction()
        expect(await dataSource.manager.count(Order)).to.equal(0)
        if (handlerName === 'DatabaseHandler') expect(await dataSource.manager.count(BackgroundedJob)).to.equal(0)
      })

      it('after the transaction, calls follow transactions as usual', async () => {
        await runner.rollbackTransaction()
        await runner.release()
        await dataSource.transaction(async (own) => {
          const row = await own.save(Object.assign(new Order(), { title: 'always' }))
          expect((await backgrounded(row).ship()).state).to.equal('deferred')
          expect(ran).to.deep.equal([])
        })
        await work()
        expect(ran).to.deep.equal(['ship always'])
        await dataSource.manager.clear(Order)
      })
    })
  }
}

describe('insideTestTransaction', () => {
  it('needs an open transaction, and says so', async () => {
    const dataSource = await withBackgrounded(inMemory(entities), { handler: new FakeHandler() }).initialize()
    const runner = dataSource.createQueryRunner()
    expect(() => insideTestTransaction(runner))
      .to.throw(/needs an open transaction: await queryRunner\.startTransaction\(\) first/)
      .with.property('code', 'INVALID_OPTION')
    await dataSource.destroy()
  })

  it('needs a data source with the plugin, and says so', async () => {
    const dataSource = await inMemory(entities).initialize()
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    expect(() => insideTestTransaction(runner))
      .to.throw()
      .with.property('code', 'NOT_ATTACHED')
    await runner.rollbackTransaction()
    await dataSource.destroy()
  })
})

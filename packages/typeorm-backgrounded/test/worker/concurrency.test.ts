import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, drain, settled, withBackgrounded, type Handler } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler, insideTestTransaction } from '../../src/testing'
import { InMemoryHandler } from '../handlers/in-memory-handler'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, sqliteInMemory, type TestStore } from '../support/stores'

let running = 0
let most = 0

@Entity()
class Account {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: 0 }) balance!: number

  @Backgrounded() async work(): Promise<void> {
    most = Math.max(most, ++running)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    running--
  }
  @Backgrounded({ attempts: 1 }) async pay(fails: boolean): Promise<void> {
    await data.transaction(async (manager) => {
      await manager.increment(Account, { id: this.id }, 'balance', 1)
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (fails) throw new Error('no')
    })
  }
}

let data: DataSource
const prefix = uniquePrefix()
const handlers: [string, () => Handler][] = [
  ['DatabaseHandler', () => new DatabaseHandler()],
  ['BullHandler', () => new BullHandler({ redis: redisUrl, prefix })],
  ['FakeHandler', () => new FakeHandler()],
  ["consumeStore, a handler of one's own", () => new InMemoryHandler()],
]
const warnings: unknown[] = []
const logger = { debug() {}, info() {}, error() {}, warn: (fields: object) => warnings.push(fields) }

for (const [name, make] of handlers) {
  describe(`how many jobs run at a time with ${name}`, () => {
    let drop: () => Promise<void>

    async function open(context: Mocha.Context, store: TestStore): Promise<Account[]> {
      await store.require(context)
      if (name === 'BullHandler') await requireRedis(context)
      const made = await store.create([Account])
      ;({ dataSource: data, drop } = made)
      await withBackgrounded(data, { handler: make(), logger }).initialize()
      warnings.length = running = most = 0
      return data.manager.save(Array.from({ length: 20 }, () => new Account()))
    }
    afterEach(async () => {
      await drop?.()
      await removeKeys(prefix)
    })

    for (const store of [sqliteFile, sqliteInMemory]) {
      it(`is one by default on ${store.name}, because jobs would share a transaction`, async function () {
        const accounts = await open(this, store)
        for (const [index, account] of accounts.entries()) await backgrounded(account).pay(index % 2 === 1)
        await settled(data)
        expect(await drain(data)).to.include({ completed: 10, failed: 10 })
        const paid = await data.manager.find(Account, { order: { id: 'ASC' } })
        expect(paid.map(({ balance }) => balance)).to.deep.equal(accounts.map((_, index) => (index % 2 === 1 ? 0 : 1)))
        expect(warnings.filter((fields) => Object.hasOwn(fields as object, 'concurrency'))).to.have.length(0)
      })
    }

    for (const store of [postgres, mariaDb]) {
      it(`is ten by default on ${store.name}`, async function () {
        await backgrounded(await open(this, store)).work()
        await settled(data)
        await drain(data)
        expect(most).to.equal(10)
      })
    }

    it('is the given number, with a warning on SQLite', async function () {
      await backgrounded(await open(this, sqliteFile)).work()
      await settled(data)
      await drain(data, { concurrency: 3 })
      expect(most).to.equal(3)
      const said = warnings.filter((fields) => Object.hasOwn(fields as object, 'concurrency'))
      expect(said).to.deep.equal([{ concurrency: 3 }])
    })

    it('is the same in a worker', async function () {
      await open(this, sqliteFile)
      const worker = createWorker(data)
      const ran = worker.run()
      await worker.ready
      expect(worker.concurrency).to.equal(1)
      await worker.stop()
      await ran
    })
  })
}

describe('how many jobs run at a time in tests', () => {
  it("is one in a test's own transaction", async function () {
    await postgres.require(this)
    const { dataSource, drop } = await postgres.create([Account])
    most = running = 0
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger }).initialize()
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    insideTestTransaction(runner)
    await backgrounded(await runner.manager.save([new Account(), new Account()])).work()
    await drain(dataSource)
    await runner.rollbackTransaction()
    await runner.release()
    await drop()
    expect(most).to.equal(1)
  })
})

import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { Column, DataSource, Entity, PrimaryGeneratedColumn, type DataSourceOptions } from 'typeorm'
import { Backgrounded, backgrounded, drain, settled, withBackgrounded } from '../../src'
import { BackgroundedOutboxRow } from '../../src/outbox/outbox-table'
import { BullHandler } from '../../src/handlers/bull'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

const ran: string[] = []

@Entity()
class Order {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) note!: string
  @Backgrounded() ship(by: string): void {
    ran.push(by)
  }
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`two applications on one ${store.name} and one Redis, with a prefix each`, () => {
    const prefixes = { a: uniquePrefix(), b: uniquePrefix() }
    const warnings: { destination?: string }[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (fields: object) => warnings.push(fields) }
    let a: DataSource
    let b: DataSource
    let drop: () => Promise<void>

    beforeEach(async function () {
      await store.require(this)
      await requireRedis(this)
      ran.length = warnings.length = 0
      ;({ dataSource: a, drop } = await store.create([Order]))
      b = new DataSource({ ...a.options, synchronize: false, entities: [Order] } as DataSourceOptions)
      // A's Redis is out of reach: what it calls waits in the outbox.
      await withBackgrounded(a, {
        handler: new BullHandler({ redis: 'redis://127.0.0.1:1', prefix: prefixes.a }),
        logger,
      }).initialize()
      await withBackgrounded(b, {
        handler: new BullHandler({ redis: redisUrl, prefix: prefixes.b }),
        logger,
      }).initialize()
    })
    afterEach(async () => {
      if (b?.isInitialized) await b.destroy()
      await drop?.()
      await removeKeys(prefixes.a)
      await removeKeys(prefixes.b)
    })

    const rows = () => b.manager.find(BackgroundedOutboxRow)
    const makeDue = (ms = 0) =>
      b.manager
        .createQueryBuilder()
        .update(BackgroundedOutboxRow)
        .set({ availableAt: Date.now() - 1 - ms })
        .execute()

    async function callInA(): Promise<void> {
      const order = await a.manager.save(new Order())
      await a.transaction((manager) => backgrounded(order, { manager }).ship('a'))
      await settled(a)
    }

    it('each relay their own jobs', async () => {
      await callInA()
      expect((await rows()).map(({ destination }) => destination)).to.deep.equal([`bull:${prefixes.a}`])
      await makeDue()
      expect(await drain(b)).to.include({ completed: 0 })
      expect(await rows()).to.have.length(1)

      await a.destroy()
      const handler = new BullHandler({ redis: redisUrl, prefix: prefixes.a })
      await withBackgrounded(a, { handler, logger }).initialize()
      await makeDue()
      expect(await drain(a)).to.include({ completed: 1 })
      expect(ran).to.deep.equal(['a'])
      expect(await rows()).to.have.length(0)
    })

    it('relay jobs that name no destination, such as one that was written by hand', async () => {
      const { id } = await b.manager.save(new Order())
      const payload = JSON.stringify({ entity: 'Order', key: { id }, method: 'ship', args: ['by hand'] })
      const row = { id: randomUUID(), source: 'default', payload, writtenAt: Date.now(), availableAt: Date.now() - 1 }
      await b.manager.insert(BackgroundedOutboxRow, row)
      expect(await drain(b)).to.include({ completed: 1 })
      expect(ran).to.deep.equal(['by hand'])
    })

    it('warn once about jobs for a handler that no worker has', async () => {
      await callInA()
      warnings.length = 0
      await makeDue(59_000)
      await drain(b)
      expect(warnings).to.deep.equal([])
      await makeDue(120_000)
      await b.destroy()
      await b.initialize()
      await drain(b)
      await drain(b)
      expect(warnings.map(({ destination }) => destination)).to.deep.equal([`bull:${prefixes.a}`])
    })

    it('say what to do if the table was made before rows had a destination', async () => {
      await b.destroy()
      for (const { name } of (await a.createQueryRunner().getTable('backgrounded_outbox'))?.indices ?? [])
        await a.createQueryRunner().dropIndex('backgrounded_outbox', name as string)
      await a.createQueryRunner().dropColumn('backgrounded_outbox', 'destination')
      const error: unknown = await b.initialize().catch((thrown: unknown) => thrown)
      expect(error).to.have.property('code', 'OUTDATED_TABLE')
      expect(String(error)).to.include('destination').and.to.include('migration:generate')
    })
  })
}

import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, createWorker, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

const QUEUES = 20_000
const ran: string[] = []

@Entity()
class Order {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static ship(name: string): void {
    ran.push(name)
  }
}

for (const store of [postgres, mariaDb]) {
  it(`A worker finds urgent jobs among ${QUEUES} queues on ${store.name}`, async function () {
    await store.require(this)
    ran.length = 0
    const { dataSource, drop } = await store.create([Order])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    for (let start = 0; start < QUEUES; start += 1_000) {
      const rows = Array.from({ length: 1_000 }, (_, row) => `('Order', 'ship', '["any"]', 'tenant-${start + row}')`)
      await dataSource.query(`INSERT INTO backgrounded_jobs (entity, method, args, queue) VALUES ${rows.join(', ')}`)
    }
    await backgrounded(Order, { queue: 'tenant-zz', priority: -5 }).ship('urgent')
    const worker = createWorker(dataSource)
    const finished = worker.run()
    const start = performance.now()
    await until(() => ran.length > 0)
    expect(performance.now() - start).to.be.lessThan(3_000)
    expect(ran[0]).to.equal('urgent')
    await worker.stop()
    await finished
    await drop()
  })
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

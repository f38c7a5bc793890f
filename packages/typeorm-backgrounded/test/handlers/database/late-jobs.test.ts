import { expect } from 'chai'
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, createWorker, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

const ran: string[] = []

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: 0 }) weight!: number

  @Backgrounded({ backoff: 0 })
  async ship(name: string): Promise<void> {
    const isFirst = !ran.includes(name)
    ran.push(name)
    await new Promise((resolve) => setImmediate(resolve))
    if (name === 'fails once' && isFirst) throw new Error('once')
  }
}

/** In a backlog, claims start at a cursor, the last claimed job. Jobs that land before it must not be forgotten. */
for (const store of [postgres, mariaDb]) {
  describe(`Jobs that land before the claim cursor on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let parcel: Parcel

    before(async function () {
      await store.require(this)
    })

    beforeEach(async () => {
      ran.length = 0
      const created = await store.create([Parcel])
      drop = created.drop
      dataSource = withBackgrounded(created.dataSource, { handler: new DatabaseHandler(), logger: silent })
      await dataSource.initialize()
      parcel = await dataSource.manager.save(new Parcel())
    })

    afterEach(async () => {
      await drop?.()
    })

    async function working(work: () => Promise<void>): Promise<void> {
      const worker = createWorker(dataSource, { concurrency: 2 })
      const finished = worker.run()
      await work()
      await worker.stop()
      await finished
    }

    const backlog = (size: number) => backgrounded(Array<Parcel>(size).fill(parcel)).ship('backlog')

    it('run in the middle of the backlog when their transaction commits late', async () => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      await backgrounded(parcel, { manager: runner.manager }).ship('late')
      await runner.manager.transaction(() => Promise.resolve()) // a savepoint: the row is written before it
      await backlog(500)
      await working(async () => {
        await until(() => ran.length > 60)
        await runner.commitTransaction()
        await until(() => ran.includes('late'))
        expect(ran.length).to.be.lessThan(501)
        await until(() => ran.length === 501)
      })
      await runner.release()
    })

    it('run in the middle of the backlog when a retry has become due', async () => {
      await backgrounded(parcel).ship('fails once')
      await backlog(500)
      await working(() => until(() => ran.filter((name) => name === 'fails once').length === 2))
      expect(ran.length).to.be.lessThan(503)
    })

    it('run before the rest of the backlog when they are urgent and open a new lane', async () => {
      await backlog(500)
      await working(async () => {
        await until(() => ran.length > 60)
        await backgrounded(parcel, { priority: -3 }).ship('urgent')
        await until(() => ran.includes('urgent'))
        expect(ran.length).to.be.lessThan(501)
        await until(() => ran.length === 501)
      })
    })
  })
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type QueryRunner } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  EnqueueError,
  settled,
  withBackgrounded,
  type Handler,
  type InBackground,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { administer, createPostgres, requirePostgres } from '../support/postgres'

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded() send(): void {}
  declare sendBackgrounded: InBackground<Parcel['send']>

  @AfterCommitBackgrounded({ on: ['insert', 'update'] }) weigh(): void {}
}

const handlers: { name: string; make: () => Handler; outbox?: boolean }[] = [
  { name: 'DatabaseHandler', make: () => new DatabaseHandler() },
  { name: 'a handler outside the database, without an outbox', make: () => new FakeHandler(), outbox: false },
  { name: 'a handler outside the database, with an outbox', make: () => new FakeHandler(), outbox: true },
]

for (const { name, make, outbox } of handlers) {
  describe(`a call in a transaction whose connection was lost: ${name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let runner: QueryRunner
    let enqueued: string[]
    let failures: unknown[]

    before(async function () {
      await requirePostgres(this)
    })
    beforeEach(async () => {
      ;({ dataSource, drop } = await createPostgres([Parcel]))
      await withBackgrounded(dataSource, { handler: make(), outbox, logger: silent }).initialize()
      runner = dataSource.createQueryRunner()
      enqueued = []
      failures = []
      backgroundedEvents(dataSource)
        .on('enqueued', ({ job }) => enqueued.push(job.method))
        .on('enqueueFailed', ({ error }) => failures.push(error))
    })
    afterEach(() => drop?.())

    const parcel = () => Object.assign(new Parcel(), { label: 'a' })
    const saved = async () => {
      const row = await dataSource.manager.save(parcel())
      await settled(dataSource)
      enqueued.length = 0
      return row
    }
    const loaded = (id: number) => runner.manager.findOneByOrFail(Parcel, { id })
    const loseConnection = async () => {
      const [{ pid }] = (await runner.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }]
      await administer(`SELECT pg_terminate_backend(${pid})`)
      await runner.query('SELECT 1').catch(() => {})
      while (!runner.isReleased) await new Promise((resolve) => setImmediate(resolve))
    }
    const errorOf = (call: Promise<unknown>) =>
      call.then(
        () => undefined,
        (error: unknown) => error,
      )

    it('is refused on an entity that was loaded in it', async () => {
      const { id } = await saved()
      await runner.startTransaction()
      const row = await loaded(id)
      await loseConnection()
      expect(await errorOf(row.sendBackgrounded())).to.be.instanceOf(EnqueueError)
      await settled(dataSource)
      expect(enqueued).to.deep.equal([])
    })

    it('is refused also after a save in it that has failed', async () => {
      const { id } = await saved()
      await runner.startTransaction()
      const row = await loaded(id)
      await loseConnection()
      for (const save of [() => runner.manager.save(row), () => runner.manager.getRepository(Parcel).save([row])]) {
        expect(await errorOf(save())).to.be.instanceOf(Error)
        expect(await errorOf(row.sendBackgrounded())).to.be.instanceOf(EnqueueError)
      }
      await settled(dataSource)
      expect(enqueued).to.deep.equal([])
    })

    it('goes out again when another manager has saved the entity since', async () => {
      const { id } = await saved()
      await runner.startTransaction()
      const row = await loaded(id)
      await loseConnection()
      await dataSource.manager.save(Object.assign(row, { label: 'b' }))
      expect(await errorOf(row.sendBackgrounded())).to.equal(undefined)
    })

    it('is refused even if other transactions have begun since, and rolling the lost one back fails', async () => {
      const { id } = await saved()
      await runner.startTransaction()
      const row = await loaded(id)
      await loseConnection()
      await runner.rollbackTransaction().catch(() => {})
      await runner.release()
      await dataSource.transaction(() => Promise.resolve())
      await dataSource.transaction(() => Promise.resolve())
      expect(await errorOf(row.sendBackgrounded())).to.be.instanceOf(EnqueueError)
      expect(await errorOf(backgrounded([row]).send())).to.be.instanceOf(EnqueueError)
      await settled(dataSource)
      expect(enqueued).to.deep.equal([])
    })

    it('is refused on an entity that was loaded early in a long transaction', async () => {
      const { id } = await saved()
      await dataSource.query(`INSERT INTO parcel (label) SELECT 'x' FROM generate_series(1, 2500)`)
      await runner.startTransaction()
      const row = await loaded(id)
      await runner.manager.find(Parcel)
      await loseConnection()
      await dataSource.transaction(() => Promise.resolve())
      expect(await errorOf(row.sendBackgrounded())).to.be.instanceOf(EnqueueError)
    })

    it('is refused with { manager }, and sent with { manager: null }', async () => {
      const row = await saved()
      await runner.startTransaction()
      const inside = await loaded(row.id)
      await loseConnection()
      expect(await errorOf(backgrounded(row, { manager: runner.manager }).send())).to.be.instanceOf(EnqueueError)
      await backgrounded(inside, { manager: null }).send()
      await settled(dataSource)
      expect(enqueued).to.deep.equal(['send'])
    })

    it('goes out again after the entity was saved in another transaction', async () => {
      const { id } = await saved()
      await runner.startTransaction()
      const row = await loaded(id)
      await loseConnection()
      await dataSource.transaction(() => Promise.resolve())
      await dataSource.manager.save(Object.assign(row, { label: 'b' }))
      await row.sendBackgrounded()
      await settled(dataSource)
      expect(enqueued).to.include('send')
    })

    it('is not made by @AfterCommitBackgrounded', async () => {
      // Subscribers are called one after the other, so the connection is released between the write and the job.
      const releasing = { listenTo: () => Parcel, afterInsert: () => void runner.release() }
      dataSource.subscribers.unshift(releasing)
      await runner.startTransaction()
      await errorOf(runner.manager.save(parcel()))
      await settled(dataSource).catch(() => {})
      expect(enqueued).to.deep.equal([])
      expect(failures).to.have.length(1)
      expect(failures[0]).to.be.instanceOf(EnqueueError)
    })
  })
}

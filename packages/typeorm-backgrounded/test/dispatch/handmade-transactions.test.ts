import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type QueryRunner } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  createWorker,
  drain,
  settled,
  withBackgrounded,
  type EnqueueResult,
  type JobEnvelope,
} from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile } from '../support/stores'
import { until } from '../support/worker-process'

const ran: string[] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded() post(word: string): void {
    ran.push(`${word} ${this.text}`)
  }
}

@Entity()
class Note {
  @PrimaryGeneratedColumn() id!: number
  @AfterCommitBackgrounded() index(): void {}
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`a call with the manager of a transaction begun with a statement: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let runner: QueryRunner
    let letter: Letter
    let enqueued: number

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ran.length = 0
      enqueued = 0
      ;({ dataSource, drop } = await store.create([Letter, Note]))
    })
    afterEach(async () => {
      await runner?.release()
      await drop?.()
    })

    const attach = async (...args: [Parameters<typeof withBackgrounded>[1]]) => {
      await withBackgrounded(dataSource, ...args).initialize()
      backgroundedEvents(dataSource).on('enqueued', () => void enqueued++)
      letter = await dataSource.manager.save(Object.assign(new Letter(), { text: 'old' }))
      runner = dataSource.createQueryRunner()
    }
    const call = (word: string) => backgrounded(letter, { manager: runner.manager }).post(word)
    const outcome = async () => {
      await settled(dataSource)
      await drain(dataSource)
      return ran.splice(0).sort()
    }

    it('is written in it, and commits or rolls back with it: DatabaseHandler', async () => {
      await attach({ handler: new DatabaseHandler(), logger: silent })
      await runner.query('BEGIN')
      await runner.query(`UPDATE letter SET text = 'new'`)
      expect(await call('never')).to.have.property('state', 'deferred')
      await backgrounded([letter, letter], { manager: runner.manager }).post('never')
      await runner.query('ROLLBACK')
      expect(await outcome()).to.deep.equal([])
      await runner.query('BEGIN')
      await runner.query(`UPDATE letter SET text = 'new'`)
      await call('one')
      await backgrounded([letter, letter], { manager: runner.manager }).post('many')
      expect(enqueued).to.equal(0)
      await runner.query('COMMIT')
      expect(await outcome()).to.deep.equal(['many new', 'many new', 'one new'])
    })

    it('is sent at once if the runner is in no transaction', async () => {
      await attach({ handler: new FakeHandler(), logger: silent })
      expect(await call('before')).to.have.property('state', 'enqueued')
      await runner.query('BEGIN')
      await runner.query('COMMIT')
      expect(await call('after')).to.have.property('state', 'enqueued')
      expect(await outcome()).to.deep.equal(['after old', 'before old'])
    })

    it('is refused if the handler could not follow it, with the fix', async () => {
      const handler = new FakeHandler()
      await attach({ handler, logger: silent })
      await runner.query('BEGIN')
      const error = await call('never').catch((cause: unknown) => cause)
      expect(error).to.have.property('code', 'ENQUEUE_FAILED')
      expect((error as Error).message).to.contain('startTransaction()')
      await runner.query('ROLLBACK')
      expect(handler.jobs).to.deep.equal([])
    })

    it('rejects where the handler refuses its job', async () => {
      class RefusingHandler extends DatabaseHandler {
        override enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
          return Promise.resolve(jobs.map(() => ({ state: 'failed', error: new Error('no room') })))
        }
      }
      await attach({ handler: new RefusingHandler(), logger: silent })
      await runner.query('BEGIN')
      const error = await call('never').catch((cause: unknown) => cause)
      expect(error).to.have.property('code', 'ENQUEUE_FAILED')
      expect((error as Error).message).to.contain('no room')
      await runner.query('ROLLBACK')
    })

    it('goes through the outbox, and commits or rolls back with it: BullHandler', async function () {
      await requireRedis(this)
      const prefix = uniquePrefix()
      await attach({ handler: new BullHandler({ redis: redisUrl, prefix }), logger: silent })
      await runner.query('BEGIN')
      await call('never')
      await runner.query('ROLLBACK')
      await runner.query('BEGIN')
      expect(await call('kept')).to.have.property('state', 'deferred')
      await settled(dataSource)
      expect(enqueued).to.equal(0)
      await runner.query('COMMIT')
      const worker = createWorker(dataSource)
      const running = worker.run()
      await until(() => ran.length > 0)
      await worker.stop()
      await running
      expect(ran).to.deep.equal(['kept old'])
      await drop?.()
      drop = undefined
      await removeKeys(prefix)
    })

    it('is also made by a plain insert whose method runs after the commit', async () => {
      const handler = new FakeHandler()
      await attach({ handler, outbox: true, logger: silent })
      const notes = runner.manager.getRepository(Note)
      await runner.query('BEGIN')
      await notes.insert({})
      await runner.query('ROLLBACK')
      await settled(dataSource)
      expect(handler.jobs).to.deep.equal([])
      await runner.query('BEGIN')
      await notes.insert({})
      await runner.query('COMMIT')
      await settled(dataSource)
      expect(await dataSource.query('SELECT * FROM backgrounded_outbox')).to.have.length(1)
      await notes.insert({})
      await settled(dataSource)
      expect(handler.jobs).to.have.length(1)
    })

    it('still follows transactions that TypeORM has begun', async () => {
      const handler = new FakeHandler()
      await attach({ handler, logger: silent })
      await runner.startTransaction()
      await call('never')
      await runner.rollbackTransaction()
      await runner.startTransaction()
      await call('kept')
      await runner.commitTransaction()
      await runner.release()
      expect(await call('released')).to.have.property('state', 'enqueued')
      expect(await outcome()).to.deep.equal(['kept old', 'released old'])
    })
  })
}

import { expect } from 'chai'
import { Column, DeleteDateColumn, Entity, PrimaryGeneratedColumn, type DataSource, type QueryRunner } from 'typeorm'
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
  @Column({ default: '' }) text!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @AfterCommitBackgrounded({ on: ['insert', 'update', 'softRemove', 'recover'] }) index(): void {}
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

    describe('whose method runs after the commit of a write without a transaction of its own', () => {
      const alone = { transaction: false }
      const writes: [title: string, write: (note: Note) => Promise<unknown>][] = [
        ['save', (note) => runner.manager.save(Object.assign(note, { text: 'new' }), alone)],
        ['save of a new row', () => runner.manager.save(new Note(), alone)],
        ['softRemove', (note) => runner.manager.softRemove(note, alone)],
        ['recover', (note) => runner.manager.recover(note, alone)],
      ]
      const prepare = async (handler: FakeHandler, outbox: boolean, title: string) => {
        await attach({ handler, outbox, logger: silent })
        const note = await dataSource.manager.save(new Note())
        if (title === 'recover') await dataSource.manager.softRemove(note)
        await settled(dataSource)
        handler.clear()
        return note
      }
      for (const [title, write] of writes) {
        it(`commits or rolls back with it: ${title}`, async () => {
          const handler = new FakeHandler()
          const note = await prepare(handler, true, title)
          const inOutbox = () => dataSource.query('SELECT * FROM backgrounded_outbox')
          await runner.query('BEGIN')
          await write(Object.assign(new Note(), note))
          await runner.query('ROLLBACK')
          await settled(dataSource)
          expect([handler.jobs, await inOutbox()]).to.deep.equal([[], []])
          await runner.query('BEGIN')
          await write(note)
          await runner.query('COMMIT')
          await settled(dataSource)
          expect([handler.jobs.length, (await inOutbox()).length]).to.deep.equal([0, 1])
        })
        it(`is refused if the handler could not follow it: ${title}`, async () => {
          const handler = new FakeHandler()
          const note = await prepare(handler, false, title)
          const errors: unknown[] = []
          backgroundedEvents(dataSource).on('enqueueFailed', ({ error }) => void errors.push(error))
          await runner.query('BEGIN')
          await write(note)
          await runner.query('ROLLBACK')
          await settled(dataSource)
          expect(handler.jobs).to.deep.equal([])
          expect(errors).to.have.length(1)
          expect(errors[0]).to.have.property('code', 'ENQUEUE_FAILED')
        })
      }
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

describe('a client of pg gets one query at a time', () => {
  let dataSource: DataSource
  let drop: (() => Promise<void>) | undefined
  let runner: QueryRunner
  let most: number
  let sent: string[]

  beforeEach(async function () {
    await postgres.require(this)
    ;({ dataSource, drop } = await postgres.create([Letter, Note]))
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    runner = dataSource.createQueryRunner()
    most = 0
    sent = []
    count((await runner.connect()) as PgClient)
  })
  afterEach(async () => {
    await runner?.release()
    await drop?.()
  })

  interface PgClient {
    query(...args: unknown[]): unknown
  }

  function count(client: PgClient): void {
    const own = client.query.bind(client)
    let current = 0
    client.query = (...args) => {
      most = Math.max(most, ++current)
      sent.push(String(args[0]))
      const answer = own(...args)
      const ended = () => void current--
      void Promise.resolve(answer).then(ended, ended)
      return answer
    }
  }

  for (const begin of ['BEGIN', undefined]) {
    describe(begin ? 'in a transaction begun with a statement' : 'outside of one', () => {
      beforeEach(async () => {
        if (begin) await runner.query(begin)
      })
      const jobs = async () => {
        if (begin) await runner.query('COMMIT')
        return (await dataSource.query('SELECT * FROM backgrounded_jobs')) as unknown[]
      }

      it('from an insert() of several rows, which takes one question and one statement for all jobs', async () => {
        sent = []
        await runner.manager.insert(Note, [{}, {}, {}])
        expect(most).to.equal(1)
        expect(sent.filter((sql) => sql.includes('statement_timestamp'))).to.have.length(1)
        expect(sent.filter((sql) => sql.includes('INSERT INTO "backgrounded_jobs"'))).to.have.length(1)
        expect(await jobs()).to.have.length(3)
      })
      it('from calls that are made at once', async () => {
        const letter = await dataSource.manager.save(new Letter())
        await Promise.all(['a', 'b', 'c'].map((word) => backgrounded(letter, { manager: runner.manager }).post(word)))
        expect(most).to.equal(1)
        expect(await jobs()).to.have.length(3)
      })
    })
  }
})

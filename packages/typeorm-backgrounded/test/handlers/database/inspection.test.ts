import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { Column, Entity, PrimaryColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, drain, withBackgrounded } from '../../../src'
import { BackgroundedJob, BackgroundedPause, DatabaseHandler } from '../../../src/handlers/database'
import { inspectionStatements, type Statement } from '../../../src/handlers/database/inspection-statements'
import { NOW } from '../../../src/database/postgres/now'
import { jobTables } from '../../../src/handlers/database/tables'
import type { JobQuery } from '../../../src/handlers/contract/inspectable'
import { insideTestTransaction } from '../../../src/testing'
import { mariaDb, postgres, sqliteFile, sqliteInMemory, type TestStore } from '../../support/stores'
import { until } from '../../support/worker-process'
import { Letter, quiet, ran } from '../bull/letter'

@Entity()
class Seat {
  @PrimaryColumn() hall!: string
  @PrimaryColumn() row!: number
  @Column({ default: '' }) note!: string
  @Backgrounded() reserve(): void {}
}

interface Office {
  readonly dataSource: DataSource
  readonly handler: DatabaseHandler
  readonly letter: Letter
  readonly drop: () => Promise<void>
}

async function open(store: TestStore): Promise<Office> {
  ran.length = 0
  const { dataSource, drop } = await store.create([Letter, Seat])
  const handler = new DatabaseHandler()
  await withBackgrounded(dataSource, { handler, logger: quiet, keepCompleted: '1h' }).initialize()
  return { dataSource, handler, letter: await dataSource.manager.save(new Letter()), drop }
}

for (const store of [sqliteInMemory, sqliteFile, postgres, mariaDb]) {
  describe(`the inspection of jobs in ${store.name}`, () => {
    let office: Office

    before(function () {
      return store.require(this)
    })
    beforeEach(async () => {
      office = await open(store)
    })
    afterEach(() => office.drop())

    const jobs = () => office.dataSource.getRepository(BackgroundedJob)

    /** One job in each state that lasts, and one delayed. */
    async function oneOfEach(): Promise<void> {
      const { letter, dataSource } = office
      await backgrounded(letter).post('done')
      await backgrounded(letter, { queue: 'other' }).fail()
      await backgrounded(letter).discard()
      await drain(dataSource)
      await backgrounded(letter, { delay: '1h' }).post('later')
      await backgrounded(letter, { queue: 'other' }).post('now')
    }

    const methods = async (query: JobQuery) =>
      (await office.handler.find(query)).map(({ envelope, state }) => `${envelope.method} ${state}`)

    it('counts jobs by state, over all queues, of its own source only', async () => {
      await oneOfEach()
      await jobs().insert({ id: randomUUID(), source: 'another', entity: 'Letter', method: 'post' })
      const counts = await office.handler.counts()
      expect(counts).to.deep.equal({ waiting: 2, running: 0, completed: 1, failed: 1, discarded: 1 })
      expect(await office.handler.find({})).to.have.length(5)
    })

    it('finds jobs by queue, state, entity, method and key, the newest first', async () => {
      await oneOfEach()
      const all = ['post waiting', 'post waiting', 'discard discarded', 'fail failed', 'post completed']
      expect(await methods({})).to.deep.equal(all)
      expect(await methods({ limit: 3 })).to.deep.equal(all.slice(0, 3))
      expect(await methods({ limit: 0 })).to.deep.equal([])
      expect(await methods({ queue: 'other' })).to.deep.equal(['post waiting', 'fail failed'])
      expect(await methods({ state: 'discarded' })).to.deep.equal(['discard discarded'])
      expect(await methods({ method: 'post', state: 'waiting' })).to.deep.equal(['post waiting', 'post waiting'])
      expect(await methods({ key: { id: office.letter.id }, limit: 2 })).to.have.length(2)
      expect(await methods({ key: { id: 99 } })).to.deep.equal([])
      expect(await methods({ key: { id: String(office.letter.id) } })).to.deep.equal([])
      expect(await methods({ entity: 'Parcel' })).to.deep.equal([])
      expect(await methods({ queue: 'default', entity: 'Letter', method: 'post', state: 'completed' })).to.have.length(
        1,
      )
    })

    it('finds a key of several columns in any order, and however its JSON was written', async () => {
      const { dataSource, handler } = office
      const seat = await dataSource.manager.save(Object.assign(new Seat(), { hall: 'Å_100%"\\/', row: 7 }))
      const { id } = await backgrounded(seat).reserve()
      const key = '{ "row":7.0, "hall" : "\\u00c5_100%\\"\\\\\\/" }'
      await jobs().insert({ id: randomUUID(), entity: 'Seat', method: 'reserve', key })
      await jobs().insert({ id: randomUUID(), entity: 'Seat', method: 'reserve', key: '{"row":7,"hall":"A_100%"}' })
      expect(await handler.find({ key: { row: 7, hall: seat.hall } })).to.have.length(2)
      const [found] = (await handler.find({ key: { hall: seat.hall, row: 7 } })).filter((job) => job.id === id)
      expect(found?.envelope.key).to.deep.equal({ hall: seat.hall, row: 7 })
      expect(await handler.find({ key: { row: 7 } }), 'a part of a key is another key').to.deep.equal([])
    })

    it('finds by age', async () => {
      const { handler, letter, dataSource } = office
      const old = await backgrounded(letter).post('old')
      await jobs().update(old.id, { enqueuedAt: Date.now() - 3_600_000 })
      const fresh = await backgrounded(letter).post('fresh')
      const ids = async (query: JobQuery) => (await handler.find(query)).map(({ id }) => id)
      expect(await ids({ olderThan: '59m' })).to.deep.equal([old.id])
      expect(await ids({ newerThan: '59m' })).to.deep.equal([fresh.id])
      expect(await ids({ olderThan: '59m', newerThan: '61m' })).to.deep.equal([old.id])
      expect(await ids({ olderThan: '61m' })).to.deep.equal([])
      expect(await ids({ newerThan: 3_660_000.5 })).to.have.members([old.id, fresh.id])
      await drain(dataSource)
    })

    it('shows attempt, error and the envelope of a job', async () => {
      await oneOfEach()
      const { handler, letter } = office
      const [failed] = await handler.find({ state: 'failed' })
      expect(failed).to.include({ state: 'failed', attempt: 2 })
      expect(failed?.error).to.match(/no stamp/)
      expect(failed?.envelope).to.include({ v: 1, entity: 'Letter', method: 'fail', queue: 'other', source: 'default' })
      expect(failed?.envelope).to.deep.include({
        id: failed?.id,
        key: { id: letter.id },
        args: [],
        meta: {},
        priority: 0,
      })
      const [discarded] = await handler.find({ state: 'discarded' })
      expect(discarded?.error).to.equal('not wanted any more')
      const [late] = (await handler.find({ state: 'waiting' })).filter(({ envelope }) => envelope.args[0] === 'later')
      const { runAt, enqueuedAt } = late?.envelope as { runAt: string; enqueuedAt: string }
      expect(Date.parse(runAt) - Date.parse(enqueuedAt)).to.be.within(3_590_000, 3_610_000)
      expect(late).to.include({ attempt: 0, error: undefined })
    })

    it('shows the readable parts of a forged job', async () => {
      const text = 'no JSON'
      const forged = { key: text, args: text, types: text, meta: text, enqueuedAt: '9007199254740991' }
      const id = randomUUID()
      await jobs().insert({ id, entity: 'Nobody', method: 'toString', ...forged })
      await jobs().insert({ id: randomUUID(), entity: 'Nobody', method: 'bare' })
      const [job] = await office.handler.find({ method: 'toString' })
      expect(job).to.include({ id, state: 'waiting' })
      expect(job?.envelope).to.include({ entity: 'Nobody', method: 'toString', ...forged })
      const [bare] = await office.handler.find({ method: 'bare' })
      expect(bare?.envelope).to.deep.include({ args: [], meta: {} })
      expect(await office.handler.find({ key: { id: 1 } })).to.deep.equal([])
    })

    it('finds among thousands, each once', async () => {
      const { handler, letter, dataSource } = office
      const other = await dataSource.manager.save(new Letter())
      await backgrounded([...(Array(1_200).fill(letter) as Letter[]), other]).post()
      expect(await handler.find({ key: { id: other.id } })).to.have.length(1)
      expect(await handler.find({})).to.have.length(100)
      const found = await handler.find({ limit: Infinity })
      expect(new Set(found.map(({ id }) => id))).to.have.property('size', 1_201)
      await jobs().update({ source: 'default' }, { state: 'failed', finishedAt: 1_000 }) // all at one moment
      const failed = await handler.find({ state: 'failed', limit: 1_101 })
      expect(new Set(failed.map(({ id }) => id))).to.have.property('size', 1_101)
    })

    it('retries failed and discarded jobs, with all their attempts', async () => {
      await oneOfEach()
      const { handler, dataSource } = office
      const kept = await handler.find({})
      ran.length = 0
      expect(await handler.retry([...kept.map(({ id }) => id), 'unknown', randomUUID(), 'ünknown', ''])).to.equal(2)
      const retried = await jobs().findOneByOrFail({ method: 'fail' })
      expect(retried).to.include({ state: 'waiting', attempt: 0, suspect: 0, finishedAt: null, releasedSince: null })
      expect(retried.error, 'kept until the next outcome').to.match(/no stamp/)
      const counts = await drain(dataSource)
      expect(counts).to.include({ retried: 1, failed: 1, discarded: 1, completed: 1 })
      expect(ran.filter((each) => each.startsWith('fail'))).to.deep.equal(['fail 1', 'fail 2'])
    })

    it('drops jobs in any state but a running one', async () => {
      await oneOfEach()
      const { handler, letter } = office
      const { id } = await backgrounded(letter).wait()
      await jobs().update(id, { state: 'running' })
      const ids = (await handler.find({})).map((job) => job.id)
      expect(await handler.discard([...ids, ...ids, 'unknown'])).to.equal(5)
      expect(await handler.counts()).to.deep.equal({ waiting: 0, running: 1, completed: 0, failed: 0, discarded: 0 })
    })

    it('retries and drops more jobs than go into one statement', async () => {
      const { handler, letter } = office
      await backgrounded(Array(1_111).fill(letter) as Letter[]).post()
      await jobs().update({ source: 'default' }, { state: 'discarded', finishedAt: 1_000 })
      const ids = (await handler.find({ limit: 2_000 })).map(({ id }) => id)
      expect(await handler.retry(ids)).to.equal(1_111)
      expect(await handler.counts()).to.include({ waiting: 1_111, discarded: 0 })
      expect(await handler.discard(ids)).to.equal(1_111)
      expect(await handler.retry([])).to.equal(0)
    })

    it('pauses a queue and resumes it, however often', async () => {
      const { handler, letter, dataSource } = office
      await Promise.all([handler.pause('default'), handler.pause('default')])
      await handler.pause('default')
      expect(await dataSource.manager.count(BackgroundedPause)).to.equal(1)
      await backgrounded(letter).post('paused')
      await backgrounded(letter, { queue: 'other' }).post('other')
      await drain(dataSource)
      expect(ran).to.deep.equal(['other'])
      expect((await handler.counts()).waiting).to.equal(1)
      await handler.resume('default')
      await handler.resume('default')
      await drain(dataSource)
      expect(ran).to.deep.equal(['other', 'paused'])
    })

    it('prunes kept jobs by age and state, and nothing else', async () => {
      await oneOfEach()
      const { handler } = office
      const later = new Date(Date.now() + 60_000)
      expect(await handler.prune({ before: new Date(Date.now() - 60_000) })).to.equal(0)
      expect(await handler.prune({ before: later, state: 'waiting' })).to.equal(0)
      expect(await handler.prune({ before: later, state: 'discarded' })).to.equal(1)
      expect(await handler.counts()).to.deep.equal({ waiting: 2, running: 0, completed: 1, failed: 1, discarded: 0 })
      expect(await handler.prune({ before: later })).to.equal(2)
      expect(await handler.counts()).to.include({ waiting: 2, completed: 0, failed: 0 })
    })

    it('prunes more than one batch', async () => {
      const { handler, letter } = office
      await backgrounded(Array(1_111).fill(letter) as Letter[]).post()
      await jobs().update({ source: 'default' }, { state: 'failed', finishedAt: 1_000 })
      expect(await handler.prune({ before: new Date(1_000) }), 'before, not at').to.equal(0)
      expect(await handler.prune({ before: new Date(1_001) })).to.equal(1_111)
    })

    it("sees and changes jobs inside a test's own transaction, which is rolled back", async () => {
      const { dataSource, handler } = office
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      insideTestTransaction(runner)
      const letter = await runner.manager.save(new Letter())
      await backgrounded(letter).discard()
      await drain(dataSource)
      const [discarded] = await handler.find({ state: 'discarded' })
      expect(await handler.retry([discarded?.id as string])).to.equal(1)
      expect(await handler.counts()).to.include({ waiting: 1, discarded: 0 })
      await handler.pause('default')
      await handler.resume('default')
      expect(await handler.discard([discarded?.id as string])).to.equal(1)
      await handler.pause('default')
      await runner.rollbackTransaction()
      await runner.release()
      expect(await handler.counts()).to.include({ waiting: 0 })
      expect(await dataSource.manager.count(BackgroundedPause)).to.equal(0)
    })

    it('refuses invalid queries', async () => {
      const refused = async (call: Promise<unknown>, says: RegExp) => {
        const error = await call.catch((thrown: Error) => thrown)
        expect(error).to.include({ code: 'INVALID_OPTION' })
        expect((error as Error).message).to.match(says)
      }
      const { handler } = office
      await refused(handler.prune({ before: new Date('never') }), /before is an invalid date/)
      await refused(handler.find({ olderThan: 'long' as never }), /olderThan is 'long'/)
      await refused(handler.find({ newerThan: -1 }), /newerThan is -1/)
      await refused(handler.find({ limit: -1 }), /limit is -1/)
      await refused(handler.find({ state: "x' OR 1=1" as never }), /state is x' OR 1=1/)
      await office.dataSource.destroy()
      const error = await handler.counts().catch((thrown: Error) => thrown)
      expect(error).to.include({ code: 'NOT_ATTACHED' })
    })

    if (store === sqliteInMemory) return

    it('wakes idle workers for jobs that were retried or resumed', async () => {
      const { dataSource, handler, letter } = office
      await backgrounded(letter).discard()
      await drain(dataSource)
      const [discarded] = await handler.find({ state: 'discarded' })
      await handler.pause('default')
      await backgrounded(letter).post('resumed')
      const worker = createWorker(dataSource, { pollInterval: 60_000 })
      const finished = worker.run()
      await worker.ready
      const start = Date.now()
      await handler.resume('default')
      await until(() => ran.includes('resumed'))
      await until(async () => (await handler.counts()).running === 0)
      expect(await handler.retry([discarded?.id as string])).to.equal(1)
      await until(async () => (await handler.counts()).discarded === 1)
      expect(Date.now() - start).to.be.lessThan(10_000)
      await worker.stop()
      await finished
    })

    it('says with a typed error that the store is down', async function () {
      if (store === sqliteFile) this.skip() // a file is never down
      const { dataSource } = office
      Object.assign(dataSource.options, { port: 1 })
      const handler = new DatabaseHandler()
      withBackgrounded(dataSource, { handler, logger: quiet })
      const error = await handler.counts().catch((thrown: Error) => thrown)
      expect(error).to.include({ code: 'STORE_UNAVAILABLE' })
    })
  })
}

describe('the inspection of 20,000 jobs in a SQLite file', () => {
  it('prunes without blocking the event loop', async () => {
    const { handler, dataSource, drop } = await open(sqliteFile)
    await dataSource.query(
      'WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000) ' +
        `INSERT INTO backgrounded_jobs (entity, method, state, finished_at) SELECT 'Letter', 'post', 'failed', n FROM numbers`,
    )
    let turns = 0
    const counting = setInterval(() => turns++, 1)
    expect(await handler.prune({ before: new Date() })).to.equal(20_000)
    clearInterval(counting)
    expect(turns, 'others have their turn between the batches').to.be.greaterThan(20)
    await drop()
  })
})

describe('the inspection of 22,000 jobs in Postgres', () => {
  let office: Office

  before(async function () {
    await postgres.require(this)
    office = await open(postgres)
    const insert = (rows: number, state: string, finished: string) =>
      office.dataSource.query(
        `INSERT INTO backgrounded_jobs (entity, method, key, queue, state, finished_at) ` +
          `SELECT 'Letter', 'post', '{"id":' || n || '}', 'queue' || n % 5, '${state}', ${finished} FROM generate_series(1, ${rows}) n`,
      )
    await insert(20_000, 'waiting', 'NULL')
    await insert(2_000, 'failed', 'n')
    await office.dataSource.query('VACUUM ANALYZE backgrounded_jobs')
  })
  after(() => office?.drop())

  async function plan({ sql, values }: Statement): Promise<string> {
    let number = 0
    const numbered = sql.replaceAll('?', () => `$${++number}`)
    const runner = office.dataSource.createQueryRunner()
    try {
      await runner.query('SET enable_seqscan = off; SET enable_bitmapscan = off') // as on the connection of the handler
      const lines = (await runner.query(`EXPLAIN (COSTS OFF) ${numbered}`, [...values])) as { 'QUERY PLAN': string }[]
      await runner.query('RESET ALL')
      return lines.map((line) => line['QUERY PLAN']).join('\n')
    } finally {
      await runner.release()
    }
  }

  const statements = () => inspectionStatements(jobTables('postgres', office.dataSource), NOW)

  /** Names of the partial indices, by what they begin with. */
  async function indexOf(columns: string): Promise<string> {
    const found = (await office.dataSource.query(
      `SELECT indexname FROM pg_indexes WHERE tablename = 'backgrounded_jobs' AND indexdef LIKE '%(${columns}%'`,
    )) as { indexname: string }[]
    return found[0]?.indexname as string
  }

  it('counts from the partial indices alone', async () => {
    const text = await plan(statements().counts('default'))
    expect(text).not.to.match(/Seq Scan|(?<!Only )Scan using/)
    const [waiting, running, kept] = [
      await indexOf('source, suspect'),
      await indexOf('source, worker'),
      await indexOf('source, state'),
    ]
    const used = [...text.matchAll(/Index Only Scan using "?(\w+)"?/g)].map(([, index]) => index)
    expect(used).to.deep.equal([waiting, running, kept, kept, kept])
    expect(await office.handler.counts()).to.include({ waiting: 20_000, failed: 2_000 })
  })

  it('finds failed jobs by their own index, without a sort of all', async () => {
    const kept = await indexOf('source, state')
    const first = await plan(statements().find({ source: 'default', state: 'failed' }, 100))
    expect(first)
      .to.match(new RegExp(`Index Scan Backward using "?${kept}`))
      .and.to.match(/Presorted Key: finished_at/)
    const after = { id: randomUUID(), finishedAt: '1500' }
    const next = await plan(statements().find({ source: 'default', state: 'failed', after }, 100))
    expect(next)
      .to.match(new RegExp(`Index Scan Backward using "?${kept}`))
      .and.to.match(/Index Cond: .*finished_at <= /)
  })

  it('finds the newest of all by the primary key', async () => {
    expect(await plan(statements().find({ source: 'default' }, 100))).to.match(/Index Scan Backward using "?PK_/)
  })

  it('prunes by the index of kept jobs', async () => {
    const kept = await indexOf('source, state')
    const text = await plan(statements().prunable('default', 'failed', '100', 1_000, 500))
    expect(text)
      .to.match(new RegExp(`Index Scan using "?${kept}`))
      .and.not.to.match(/Sort|Seq Scan/)
    expect(text).to.match(/Index Cond: .*finished_at >= .*finished_at < /)
    const ids = Array(500).fill(randomUUID()) as string[]
    const removal = await plan(statements().remove(ids, 'default', 'failed', '100', '600'))
    expect(removal).to.match(/Index Scan using "?PK_|Index Cond: .*finished_at >= .*finished_at <= /)
    expect(await plan(statements().retry(ids, 'default'))).to.match(/Index Scan using "?PK_/)
    expect(await plan(statements().discard(ids, 'default'))).to.match(/Index Scan using "?PK_/)
  })

  it('does not delay calls', async () => {
    const { handler, dataSource, letter } = office
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.query('LOCK TABLE backgrounded_pauses IN ACCESS EXCLUSIVE MODE')
    const pausing = handler.pause('default')
    await until(async () => {
      const waiting: unknown[] = await dataSource.query(`SELECT 1 FROM pg_locks WHERE NOT granted`)
      return waiting.length > 0
    })
    expect(await backgrounded(letter).post()).to.include({ state: 'enqueued' })
    await runner.commitTransaction()
    await runner.release()
    await pausing
  })
})

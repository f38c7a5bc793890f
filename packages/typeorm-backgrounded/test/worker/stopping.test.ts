import { expect } from 'chai'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  createWorker,
  currentJob,
  withBackgrounded,
  type Consumption,
  type Worker,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { runtimeOf } from '../../src/plugin/attach'
import { FakeHandler } from '../../src/testing'
import { after as later } from '../../src/concurrency/sleep'
import { inFile } from '../support/data-sources'
import { mariaDb, postgres, sqliteFile } from '../support/stores'
import { until } from '../support/worker-process'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
let release = () => {}
let hasAborted = false
let isRunning = false

@Entity()
class Sleeper {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() async sleep(): Promise<void> {
    isRunning = true
    currentJob().signal.addEventListener('abort', () => (hasAborted = true))
    await new Promise<void>((resolve) => (release = resolve))
  }
}

describe('a worker that stops', () => {
  let dataSource: DataSource
  afterEach(async () => {
    release()
    if (dataSource.isInitialized) await dataSource.destroy()
  })
  beforeEach(() => {
    hasAborted = isRunning = false
  })

  async function working(options: Parameters<typeof createWorker>[1]): Promise<{ worker: Worker; run: Promise<void> }> {
    dataSource = await withBackgrounded(inFile([Sleeper]), {
      handler: new FakeHandler(),
      outbox: false,
      logger,
    }).initialize()
    const sleeper = await dataSource.manager.save(new Sleeper())
    const worker = createWorker(dataSource, options)
    const run = worker.run()
    await backgrounded(sleeper).sleep()
    await until(() => isRunning)
    return { worker, run }
  }

  it('waits for a method as long as its shutdown timeout, even beyond the longest timer', async () => {
    const { worker, run } = await working({ shutdownTimeout: '30d' })
    const stopping = worker.stop()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(hasAborted).to.equal(false)
    release()
    expect(await stopping).to.deep.equal({ stillRunning: [] })
    await run
  })

  it('can be garbage-collected once it has ended', async () => {
    dataSource = await withBackgrounded(inFile([Sleeper]), {
      handler: new FakeHandler(),
      outbox: false,
      logger,
    }).initialize()
    const workers: WeakRef<Worker>[] = []
    for (let count = 0; count < 20; count++) {
      const worker = createWorker(dataSource, { pollInterval: 1 })
      workers.push(new WeakRef(worker))
      const run = worker.run()
      await worker.ready
      await worker.stop()
      await run
    }
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await until(() => {
      collect()
      return workers.filter((worker) => worker.deref()).length <= 1
    }, 5_000)
  })

  it('does nothing once its data source is closed', async () => {
    dataSource = await withBackgrounded(inFile([Sleeper]), { handler: new FakeHandler(), logger }).initialize()
    const worker = createWorker(dataSource)
    await dataSource.destroy()
    await worker.run()
  })

  it('ends in time even if the handler ignores the deadline', async () => {
    const handler = new FakeHandler()
    handler.consume = (): Consumption => ({
      concurrency: 1,
      finished: new Promise(() => {}),
      stop: () => new Promise(() => {}),
    })
    dataSource = await withBackgrounded(inFile([Sleeper]), { handler, outbox: false, logger }).initialize()
    const worker = createWorker(dataSource, { shutdownTimeout: 100 })
    const run = worker.run()
    await until(() => worker.concurrency !== undefined)
    const start = Date.now()
    await worker.stop()
    await run
    expect(Date.now() - start).to.be.within(90, 1_100)
  })

  for (const store of [sqliteFile, postgres, mariaDb]) {
    it(`ends in time on ${store.name} even if the job table is locked`, async function () {
      await store.require(this)
      const created = await store.create([Sleeper])
      dataSource = await withBackgrounded(created.dataSource, { handler: new DatabaseHandler(), logger }).initialize()
      const sleeper = await dataSource.manager.save(new Sleeper())
      const worker = createWorker(dataSource, { shutdownTimeout: 300, pollInterval: 20 })
      void worker.run().catch(() => {})
      await backgrounded(sleeper).sleep()
      await until(() => isRunning)
      const unlock = await lockTable(dataSource)
      try {
        const start = Date.now()
        const { stillRunning } = await worker.stop({ exiting: true })
        expect(Date.now() - start).to.be.within(250, 1_300)
        expect(stillRunning).to.have.length(1)
      } finally {
        await unlock()
        release()
        await created.drop()
      }
    })
  }

  for (const [what, once, mode] of [
    ['its start waits for the table of the outbox', false, 'ACCESS EXCLUSIVE'],
    ['a drain relays the outbox', true, 'EXCLUSIVE'],
  ] as const) {
    it(`ends at once, and without an error, while ${what}`, async function () {
      await postgres.require(this)
      const created = await postgres.create([Sleeper])
      ;({ dataSource } = created)
      const handler = new FakeHandler()
      await withBackgrounded(dataSource, { handler, outbox: true, logger }).initialize()
      const runner = dataSource.createQueryRunner()
      await addOutboxRow(dataSource)
      await runner.startTransaction()
      await runner.query(`LOCK TABLE backgrounded_outbox IN ${mode} MODE`)
      try {
        const worker = runtimeOf(dataSource).createWorker({}, once)
        const run = worker.run()
        await until(() => isWaitingForLock(dataSource))
        const start = Date.now()
        expect(await worker.stop()).to.deep.equal({ stillRunning: [] })
        await run
        expect(Date.now() - start).to.be.below(1_000)
      } finally {
        await runner.rollbackTransaction()
        await runner.release()
        await created.drop()
      }
    })
  }

  it('does not reject because of an error that comes after the stop', async () => {
    let fail = (_: Error) => {}
    const handler = new FakeHandler()
    const finished = new Promise<void>((_, reject) => (fail = reject))
    handler.consume = () => ({ concurrency: 1, finished, stop: async () => fail(new Error('the store is gone')) })
    dataSource = await withBackgrounded(inFile([Sleeper]), { handler, outbox: false, logger }).initialize()
    const worker = createWorker(dataSource)
    const run = worker.run()
    await worker.ready
    await worker.stop()
    await run
  })
})

async function addOutboxRow(dataSource: DataSource): Promise<void> {
  await dataSource.query(
    `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) VALUES (gen_random_uuid(), 'default', '{}', 0, 0)`,
  )
}

async function isWaitingForLock(dataSource: DataSource): Promise<boolean> {
  const waiting = await dataSource.query<unknown[]>(
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return waiting.length > 0
}

async function lockTable(dataSource: DataSource): Promise<() => Promise<void>> {
  const { type, database } = dataSource.options
  if (type === 'better-sqlite3') {
    const Database = (dataSource.driver as unknown as { sqlite: new (file: string) => LockedFile }).sqlite
    const other = new Database(database as string)
    other.exec('BEGIN IMMEDIATE')
    return async () => void other.close()
  }
  const runner = dataSource.createQueryRunner()
  if (type === 'postgres') {
    await runner.startTransaction()
    await runner.query('LOCK TABLE backgrounded_jobs IN ACCESS EXCLUSIVE MODE')
    return async () => {
      await runner.rollbackTransaction()
      await runner.release()
    }
  }
  await runner.query('LOCK TABLES backgrounded_jobs WRITE')
  return async () => {
    await runner.query('UNLOCK TABLES')
    await runner.release()
  }
}

interface LockedFile {
  exec(sql: string): void
  close(): void
}

describe('a long timer', () => {
  it('does not fire at once', async () => {
    let rang = false
    const callOff = later(2 ** 31 + 1_000, () => (rang = true))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(rang).to.equal(false)
    callOff()
  })
})

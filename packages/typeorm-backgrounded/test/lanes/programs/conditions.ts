import 'reflect-metadata'

/*
 * Calls, transactions and a worker on Postgres while something stands between the application and its database: a tracing
 * agent, a wrapper, another driver, a pooler. Each part is seen to be at work first.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Like, type DataSource, type EntityManager } from 'typeorm'
import { settled, type Inspectable } from 'typeorm-backgrounded'
import { isAtWork } from './at-work'
import { RunLog } from './run-log'
import { creators, type CreatedStore } from './stores'
import { Task } from './task'
import { until, Worker } from './worker'

const [condition, store] = (process.argv[2] as string).split('+') as [string, string?]
const directory = mkdtempSync(join(tmpdir(), 'typeorm-backgrounded-conditions-'))
const log = new RunLog(directory)
process.env.CONDITION = condition

describe(process.argv[2], () => {
  const expectedRuns: string[] = []
  let created: CreatedStore
  let dataSource: DataSource
  let handler: Inspectable
  let worker: Worker

  before(async () => {
    created = await creators[store ?? (condition in creators ? condition : 'postgres')](directory)
    process.env.STORE = JSON.stringify({ ...created.store, isNew: true })
    const loaded = await import('./data-source.js')
    dataSource = loaded.dataSource
    handler = loaded.handler as unknown as Inspectable
    await dataSource.initialize()
    process.env.STORE = JSON.stringify(created.store) // for the worker, which finds the tables already there
  })

  after(async () => {
    await worker?.kill()
    if (dataSource?.isInitialized) await dataSource.destroy()
    await created?.drop()
    rmSync(directory, { recursive: true, force: true })
  })

  it('is at work in this process', async () => {
    assert.equal(await isAtWork(condition, dataSource.manager), true)
  })

  for (const round of [1, 2, 3]) {
    it(`stores the call of a transaction that commits (${round})`, () =>
      commits(async (manager) => {
        const task = await saved(manager, `committed ${round}`)
        await task.reportBackgrounded('once')
      }, `committed ${round} once`))

    it(`stores nothing of a transaction that is rolled back (${round})`, () =>
      isRolledBack(async (manager) => {
        const task = await saved(manager, `rolled back ${round}`)
        await task.reportBackgrounded('never')
        throw new Error('roll back')
      }))

    it(`stores nothing of a transaction whose first statement fails (${round})`, () =>
      isRolledBack(async (manager) => {
        await Object.assign(new Task(), { id: 1 }).reportBackgrounded('never')
        await manager.query('SELECT no_such_column')
      }))

    it(`stores both calls around an update (${round})`, () =>
      commits(
        async (manager) => {
          const task = await saved(manager, `new ${round}`)
          await task.reportBackgrounded('called before')
          await manager.update(Task, task.id, { title: `updated ${round}` })
          await task.reportBackgrounded('called after')
        },
        `updated ${round} called before`,
        `updated ${round} called after`,
      ))

    it(`stores the call around a savepoint that is rolled back, and not the one in it (${round})`, () =>
      commits(async (manager) => {
        const task = await saved(manager, `around a savepoint ${round}`)
        await task.reportBackgrounded('once')
        const savepoint = manager.transaction(async (inner) => {
          const innerTask = await saved(inner, `rolled back with a savepoint ${round}`)
          await innerTask.reportBackgrounded('never')
          throw new Error('roll back')
        })
        await assert.rejects(savepoint, /roll back/)
      }, `around a savepoint ${round} once`))
  }

  it('stores a call outside of a transaction', async () => {
    const task = await saved(dataSource.manager, 'alone')
    assert.equal((await task.reportBackgrounded('outside of a transaction')).state, 'enqueued')
    expectedRuns.push('alone outside of a transaction')
    assert.equal(await waiting(), expectedRuns.length)
  })

  it('runs them all in a worker, where the condition is at work too', async () => {
    worker = new Worker()
    await ran()
    assert.equal(log.wasAtWork(condition), true)
  })

  it('wakes an idle worker', async () => {
    const task = await dataSource.manager.findOneByOrFail(Task, { title: 'alone' })
    await task.reportBackgrounded('to an idle worker')
    await ran('alone to an idle worker')
  })

  it('runs the calls of thirty transactions at once', async () => {
    const titles = Array.from({ length: 30 }, (_, index) => `one of thirty, ${index}`)
    const transactions = titles.map((title) =>
      dataSource.transaction(async (manager) => (await saved(manager, title)).reportBackgrounded('once')),
    )
    await Promise.all(transactions)
    await ran(...titles.map((title) => `${title} once`))
  })

  it('runs a failed attempt again', async () => {
    const task = await dataSource.manager.findOneByOrFail(Task, { title: 'alone' })
    await task.failOnceBackgrounded()
    await ran('alone attempt 1', 'alone attempt 2')
  })

  it('keeps a job that has failed for good', async () => {
    const task = await dataSource.manager.findOneByOrFail(Task, { title: 'alone' })
    await task.failBackgrounded()
    await until(async () => (await handler.counts()).failed === 1, worker)
    const [failed] = await handler.find({ state: 'failed' })
    assert.match(failed.error ?? '', /on purpose/)
  })

  it('leaves nothing behind', async () => {
    worker.terminate()
    await worker.endsWith(0)
    await ran()
    assert.deepEqual(await handler.counts(), { waiting: 0, running: 0, completed: 0, failed: 1, discarded: 0 })
    assert.equal(await dataSource.manager.countBy(Task, { title: Like('rolled back%') }), 0)
    if (store) assert.equal(await dataSource.manager.count('BackgroundedOutboxRow'), 0)
    const openTransactions = `SELECT query FROM pg_stat_activity
      WHERE datname = current_database() AND state LIKE 'idle in transaction%'`
    assert.deepEqual(await dataSource.query(openTransactions), [])
  })

  async function commits(work: (manager: EntityManager) => Promise<void>, ...runs: string[]): Promise<void> {
    const before = await waiting()
    await dataSource.transaction(work)
    await settled(dataSource)
    assert.equal(await waiting(), before + runs.length)
    expectedRuns.push(...runs)
  }

  async function isRolledBack(work: (manager: EntityManager) => Promise<void>): Promise<void> {
    const before = await waiting()
    await assert.rejects(dataSource.transaction(work))
    await settled(dataSource)
    assert.equal(await waiting(), before)
  }

  /** Waits until a worker has run what was called, each call once. */
  async function ran(...runs: string[]): Promise<void> {
    expectedRuns.push(...runs)
    await until(() => log.runs.length >= expectedRuns.length, worker)
    assert.deepEqual(log.runs.toSorted(), expectedRuns.toSorted())
  }

  async function waiting(): Promise<number> {
    return (await handler.counts()).waiting
  }
})

function saved(manager: EntityManager, title: string): Promise<Task> {
  return manager.save(Object.assign(new Task(), { title }))
}

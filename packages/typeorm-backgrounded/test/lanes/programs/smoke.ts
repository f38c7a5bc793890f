import 'reflect-metadata'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { DataSource } from 'typeorm'
import { settled } from 'typeorm-backgrounded'
import { RunLog } from './run-log'
import { creators, type CreatedStore } from './stores'
import { Task } from './task'
import { until, Worker } from './worker'

const name = process.argv[2] as string
const directory = mkdtempSync(join(tmpdir(), 'typeorm-backgrounded-smoke-'))
const log = new RunLog(directory)

const workers: Worker[] = []

describe(name, () => {
  let created: CreatedStore
  let dataSource: DataSource

  before(async () => {
    created = await creators[name](directory)
    process.env.STORE = JSON.stringify({ ...created.store, isNew: true })
    ;({ dataSource } = await import('./data-source.js'))
    await dataSource.initialize()
    process.env.STORE = JSON.stringify(created.store) // for the workers, which find the tables already there
  })

  after(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
    if (dataSource?.isInitialized) await dataSource.destroy()
    await created?.drop()
    rmSync(directory, { recursive: true, force: true })
  })

  it('runs a committed call once, on the row as it is then, and a rolled-back call never', async () => {
    const task = await dataSource.transaction(async (manager) => {
      const saved = await manager.save(Object.assign(new Task(), { title: 'committed' }))
      await saved.reportBackgrounded('in a transaction')
      return saved
    })
    await assert.rejects(
      dataSource.transaction(async (manager) => {
        const saved = await manager.save(Object.assign(new Task(), { title: 'rolled back' }))
        await saved.reportBackgrounded('in a transaction')
        throw new Error('roll back')
      }),
      /roll back/,
    )
    await settled(dataSource)
    if (created.store.handler === 'synchronous') {
      assert.deepEqual(log.runs, ['committed in a transaction'])
      return
    }
    await dataSource.manager.update(Task, task.id, { title: 'renamed' })
    await worker('--once').endsWith(0)
    assert.deepEqual(log.runs, ['renamed in a transaction'])
  })

  if (name === 'sqlite3') return // its handler runs jobs by itself

  it('runs what is called while a worker waits, which ends at SIGTERM with exit code 0', async () => {
    const running = worker()
    await until(() => running.output.includes('worker started'), running)
    const task = await dataSource.manager.save(Object.assign(new Task(), { title: 'second' }))
    await task.reportBackgrounded('outside of a transaction')
    await dataSource.transaction(() => task.reportBackgrounded('in a transaction'))
    await until(() => log.runs.length === 3, running)
    running.terminate()
    await running.endsWith(0)
  })

  it('has run each call once', async () => {
    await worker('--once').endsWith(0)
    assert.deepEqual(log.runs.toSorted(), [
      'renamed in a transaction',
      'second in a transaction',
      'second outside of a transaction',
    ])
  })
})

function worker(...flags: string[]): Worker {
  const started = new Worker(...flags)
  workers.push(started)
  return started
}

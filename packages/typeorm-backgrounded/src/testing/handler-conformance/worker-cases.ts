import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import type { ConformanceCase } from './conformance-case'
import { Gate } from './gate'
import { ConformanceRecord, runs, script } from './model'
import { codeOf, firstArguments, needsDelay, needsWorker, until } from './support'

/** How a worker claims jobs, and how it stops. */
export const workerCases: readonly ConformanceCase[] = [
  {
    title: 'claims no more jobs than there are free slots',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      let running = 0
      let most = 0
      script.act = async () => {
        most = Math.max(most, ++running)
        // Both slots are in use, and a third job would have had time to start.
        await until(() => most >= 2)
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }
      await backgrounded(Array(6).fill(row) as ConformanceRecord[]).act()
      await drain(dataSource, { concurrency: 2 })
      assert.equal(runs.length, 6)
      assert.equal(most, 2)
    },
  },
  {
    title: 'runs jobs that are enqueued while a worker runs',
    skip: needsWorker,
    run: async ({ record, work }) => {
      const row = await record('one')
      work()
      for (const name of ['first', 'second']) {
        await backgrounded(row).note(name)
        await until(() => firstArguments().includes(name))
      }
      assert.deepEqual(firstArguments(), ['first', 'second'])
    },
  },
  {
    title: 'runs a delayed job while a worker runs, but not before it is due',
    skip: needsDelay,
    run: async ({ record, work }) => {
      const row = await record('one')
      work()
      const start = Date.now()
      await backgrounded(row, { delay: 200 }).note()
      await until(() => runs.length === 1)
      // The clocks of two machines, or of two functions, may differ by some ms.
      assert.ok(Date.now() - start >= 180)
    },
  },
  {
    title: 'shares the jobs between two workers, and runs none twice',
    skip: needsWorker,
    run: async ({ record, work, events }) => {
      const rows = Array<ConformanceRecord>(40).fill(await record('one'))
      work({ concurrency: 3 })
      work({ concurrency: 3 })
      await backgrounded(rows).note()
      await until(() => events.length >= 40)
      assert.deepEqual(events, Array(40).fill('completed'))
      assert.equal(new Set(runs.map(({ job }) => job.id)).size, 40)
    },
  },
  {
    title: 'waits for the running job when it stops, and claims no other',
    skip: needsWorker,
    run: async ({ record, dataSource, work }) => {
      const gate = new Gate()
      script.act = () => gate.opened
      await backgrounded(await record('one')).act()
      await backgrounded(await record('two')).act()
      const worker = work({ concurrency: 1 })
      await until(() => runs.length === 1)
      const stopped = worker.stop()
      gate.open()
      assert.deepEqual(await stopped, { stillRunning: [] })
      assert.equal(runs.length, 1)
      assert.equal((await drain(dataSource)).completed, 1)
    },
  },
  {
    title: 'stops at its deadline, reports the jobs that still run, and stores their outcome',
    skip: needsWorker,
    run: async ({ record, dataSource, events, work }) => {
      const gate = new Gate()
      script.act = () => gate.opened
      const { id } = await backgrounded(await record('one')).act()
      const worker = work({ shutdownTimeout: 50 })
      await until(() => runs.length === 1)
      const { stillRunning } = await worker.stop()
      assert.deepEqual(
        stillRunning.map((job) => [job.id, job.method, job.attempt]),
        [[id, 'act', 1]],
      )
      assert.equal(codeOf(runs[0]?.job.signal.reason), 'WORKER_STOPPING')
      assert.equal((await drain(dataSource)).completed, 0)
      gate.open()
      await until(() => events.length > 0)
      assert.deepEqual(events, ['completed'])
      assert.equal(runs.length, 1)
    },
  },
  {
    title: 'releases a job whose method gives up because the worker stops, without using an attempt',
    skip: needsWorker,
    run: async ({ record, dataSource, events, work }) => {
      script.act = ({ job: { signal } }) =>
        new Promise<void>((resolve, reject) => {
          if (runs.length > 1) return resolve()
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        })
      await backgrounded(await record('one'), { attempts: 1 }).act()
      const worker = work({ shutdownTimeout: 1_000 })
      await until(() => runs.length === 1)
      assert.deepEqual(await worker.stop(), { stillRunning: [] })
      assert.deepEqual(events, ['released'])
      assert.equal((await drain(dataSource)).completed, 1)
      assert.deepEqual(
        runs.map(({ job }) => job.attempt),
        [1, 1],
      )
    },
  },
  {
    title: 'is closed by destroy(), and works again after initialize()',
    run: async ({ record, dataSource, handler }) => {
      await dataSource.destroy()
      await dataSource.initialize()
      await backgrounded(await record('one')).note()
      await drain(dataSource)
      if (handler.capabilities.consumes !== 'never') assert.equal(runs.length, 1)
    },
  },
]

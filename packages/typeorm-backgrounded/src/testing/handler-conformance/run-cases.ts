import assert from 'node:assert/strict'
import { createWorker, drain } from '../../backgrounded'
import { backgrounded } from '../../dispatch/proxy'
import type { JobEnvelope } from '../../job/envelope'
import type { ConformanceCase } from './conformance-case'
import { ConformanceRecord, gate, runs } from './model'
import { forge, needsWorker, runsNothing, until } from './support'

/** What becomes of a job: retried, failed, discarded, released, forged, stopped. */
export const runCases: readonly ConformanceCase[] = [
  {
    title: 'runs a failed job again',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one')).failOnce()
      const counts = await drain(dataSource)
      assert.deepEqual([counts.retried, counts.completed], [1, 1])
      assert.deepEqual(events, ['retried', 'completed'])
    },
  },
  {
    title: 'fails a job after its last attempt, and runs it no more',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one')).failAlways()
      await assert.rejects(drain(dataSource, { throwOnFailure: true }), /every attempt fails/)
      assert.deepEqual(events, ['retried', 'failed'])
      await drain(dataSource)
      assert.equal(runs.length, 2)
    },
  },
  {
    title: "rejects the call with the method's own error",
    skip: ({ consumes }) => (consumes === 'inline' ? undefined : 'it does not run jobs inside the call'),
    run: async ({ record }) => {
      await assert.rejects(backgrounded(await record('one')).failAlways(), /every attempt fails/)
      assert.equal(runs.length, 1)
    },
  },
  {
    title: 'discards a job whose method says so',
    skip: runsNothing,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one')).discard()
      await drain(dataSource)
      await drain(dataSource)
      assert.deepEqual(events, ['discarded'])
    },
  },
  {
    title: 'snoozes a job without using an attempt, and takes it once a drain',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one'), { attempts: 1 }).snooze()
      assert.equal((await drain(dataSource)).released, 1)
      assert.equal((await drain(dataSource)).released, 0)
      assert.deepEqual(events, ['released'])
    },
  },
  {
    title: 'discards a job whose row is gone',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      const row = await record('one')
      await backgrounded([row, await record('two')]).note()
      await dataSource.manager.delete(ConformanceRecord, row.id)
      await drain(dataSource)
      assert.deepEqual([...events].sort(), ['completed', 'discarded'])
      assert.deepEqual(
        runs.map(({ title }) => title),
        ['two'],
      )
    },
  },
  {
    title: 'keeps a job with an unknown method for a newer worker',
    skip: needsWorker,
    run: async (context) => {
      await forge(context, { method: 'comesWithTheNextDeploy' }, { entity: 'ComesToo' })
      assert.deepEqual(await drain(context.dataSource), {
        completed: 1,
        retried: 0,
        failed: 0,
        discarded: 0,
        released: 2,
      })
    },
  },
  {
    title: 'invokes nothing that a forged job names, and runs its neighbours',
    skip: needsWorker,
    run: async (context) => {
      const forged: Partial<Record<keyof JobEnvelope, unknown>>[] = [
        { method: 'constructor' },
        { method: 'toString' },
        { method: '__proto__' },
        { entity: '__proto__' },
        { method: 'unmarked' },
        { key: { id: 'no number' } },
        { key: { other: 1 } },
        { key: {} },
        { key: { id: null } },
        { args: 'no list' },
        { args: [1], types: { '/0': 'Date' } },
        { args: [1], types: { '/0/constructor': 'Date' } },
        { types: { '/__proto__/polluted': 'undefined' } },
        { entity: 'toString' },
      ]
      await forge(context, ...forged)
      const counts = await drain(context.dataSource)
      assert.deepEqual(counts, { completed: 1, retried: 0, failed: forged.length - 1, discarded: 0, released: 1 })
      assert.deepEqual(
        runs.map(({ method }) => method),
        ['note'],
      )
      assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    },
  },
  {
    title: 'claims free slots only',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      let running = 0
      let most = 0
      gate.wait = async () => {
        most = Math.max(most, ++running)
        // Until both slots were taken, and long enough for a third job to show itself.
        await until(() => Promise.resolve(most >= 2))
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }
      await backgrounded(Array(6).fill(row) as ConformanceRecord[]).hold()
      await drain(dataSource, { concurrency: 2 })
      assert.equal(runs.length, 6)
      assert.equal(most, 2)
    },
  },
  {
    title: 'stops: waits for the running job, and claims no other',
    skip: (capabilities) => needsWorker(capabilities),
    run: async ({ record, dataSource }) => {
      let release = () => {}
      const held = new Promise<void>((resolve) => (release = resolve))
      gate.wait = () => held
      await backgrounded(await record('one')).hold()
      await backgrounded(await record('two')).hold()
      const worker = createWorker(dataSource, { concurrency: 1 })
      const finished = worker.run()
      await until(() => Promise.resolve(runs.length === 1))
      const stopped = worker.stop()
      release()
      assert.deepEqual(await stopped, { stillRunning: [] })
      await finished
      assert.equal(runs.length, 1)
      assert.equal((await drain(dataSource)).completed, 1)
    },
  },
  {
    title: 'ends with destroy(), and works again after initialize()',
    run: async ({ record, dataSource, handler }) => {
      await dataSource.destroy()
      await dataSource.initialize()
      await backgrounded(await record('one')).note()
      await drain(dataSource)
      if (handler.capabilities.consumes !== 'never') assert.equal(runs.length, 1)
    },
  },
]

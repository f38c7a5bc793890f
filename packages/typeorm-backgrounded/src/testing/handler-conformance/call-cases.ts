import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import { UnsupportedOptionError } from '../../errors'
import { reference } from '../../job/entity-reference'
import type { ConformanceCase } from './conformance-case'
import { ConformanceRecord, runs } from './model'
import { needsDelay, needsWorker, runsNothing, until } from './support'

/** How a call becomes a job, and in which order jobs run. */
export const callCases: readonly ConformanceCase[] = [
  {
    title: 'takes a call and returns its receipt',
    run: async ({ record }) => {
      const receipt = await backgrounded(await record('one')).note('spring')
      assert.match(receipt.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
      assert.ok(['enqueued', 'performed'].includes(receipt.state))
      assert.equal(receipt.queue, 'default')
    },
  },
  {
    title: 'runs the method on the row as it is when the job runs',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('old')
      await backgrounded(row).note()
      await dataSource.manager.update(ConformanceRecord, row.id, { title: 'new' })
      assert.deepEqual(await drain(dataSource), { completed: 1, retried: 0, failed: 0, discarded: 0, released: 0 })
      assert.deepEqual(
        runs.map(({ title }) => title),
        ['new'],
      )
      assert.notEqual(runs[0]?.row, row)
    },
  },
  {
    title: 'keeps every kind of argument',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const other = await record('two')
      const args = [
        new Date(5),
        2n ** 70n,
        new Map([[1, new Set(['a'])]]),
        Buffer.from('x'),
        undefined,
        { deep: [null, -0] },
      ]
      await backgrounded(row).note(...args, other, [reference(ConformanceRecord, other.id)])
      await drain(dataSource)
      const [, ...seen] = [null, ...(runs[0]?.args ?? [])]
      assert.deepEqual(seen.slice(0, 6), args)
      assert.equal((seen[6] as ConformanceRecord).title, 'two')
      assert.equal((seen[7] as ConformanceRecord[])[0]?.title, 'two')
    },
  },
  {
    title: 'runs a static method',
    skip: runsNothing,
    run: async ({ dataSource }) => {
      await backgrounded(ConformanceRecord).sweep('all')
      await drain(dataSource)
      assert.deepEqual(
        runs.map(({ method, args }) => [method, args]),
        [['sweep', ['all']]],
      )
    },
  },
  {
    title: 'holds a delayed job back until it is due',
    skip: needsDelay,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded(row, { delay: '1h' }).note('delay')
      await backgrounded(row, { runAt: new Date(Date.now() + 3_600_000) }).note('runAt')
      await backgrounded(row, { delay: 29.5 }).note('soon')
      assert.equal((await drain(dataSource)).completed + runs.length, runs.length * 2)
      await until(async () => (await drain(dataSource)).completed + runs.length > 0)
      assert.deepEqual(
        runs.map(({ args }) => args[0]),
        ['soon'],
      )
    },
  },
  {
    title: 'refuses a delay that it cannot honour',
    skip: ({ honours }) => (honours.delay ? 'it has delays' : undefined),
    run: async ({ record }) => {
      await assert.rejects(backgrounded(await record('one'), { delay: '1h' }).note(), UnsupportedOptionError)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'refuses a priority that it cannot honour',
    skip: ({ honours }) => (honours.priority ? 'it has priorities' : undefined),
    run: async ({ record, dataSource }) => {
      await assert.rejects(backgrounded(await record('one'), { priority: 1 }).note(), UnsupportedOptionError)
      await drain(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'runs lower priorities first, and equal ones in order',
    skip: (capabilities) =>
      needsWorker(capabilities) ?? (capabilities.honours.priority ? undefined : 'it has no priority'),
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      for (const [name, priority] of [
        ['c', 0],
        ['e', 5],
        ['a', -5],
        ['d', 0],
        ['b', -5],
      ] as const) {
        await backgrounded(row, { priority }).note(name)
      }
      await drain(dataSource, { concurrency: 1 })
      assert.deepEqual(
        runs.map(({ args }) => args[0]),
        ['a', 'b', 'c', 'd', 'e'],
      )
    },
  },
  {
    title: 'works on the given queues only, in their order',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      for (const queue of ['other', 'second', 'first']) await backgrounded(row, { queue }).note(queue)
      await drain(dataSource, { queues: ['first', 'second'], concurrency: 1 })
      assert.deepEqual(
        runs.map(({ args }) => args[0]),
        ['first', 'second'],
      )
    },
  },
]

import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import type { JobEnvelope } from '../../job/envelope'
import type { ConformanceCase } from './conformance-case'
import { runs } from './model'
import { envelope, forge, needsWorker } from './support'

/** Jobs that no call of this program made. */
export const trustCases: readonly ConformanceCase[] = [
  {
    title: 'keeps a job with an unknown method for a newer worker, and claims it only once in a drain',
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
    title: 'invokes only marked methods, whatever a forged job names, and runs its neighbours',
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
    title: 'runs a job that is enqueued twice at most as often as it reported it stored',
    skip: needsWorker,
    run: async (context) => {
      const job = await envelope(context)
      const results = [...(await context.handler.enqueue([job])), ...(await context.handler.enqueue([job]))]
      await drain(context.dataSource)
      const stored = results.filter(({ state }) => state === 'enqueued').length
      assert.equal(results.length, 2)
      assert.ok(runs.length >= 1 && runs.length <= stored, `stored ${stored} times, and run ${runs.length} times`)
    },
  },
]

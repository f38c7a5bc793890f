import assert from 'node:assert/strict'
import { backgrounded } from '../../dispatch/backgrounded'
import type { ConformanceCase, ConformanceContext } from './conformance-case'
import { Gate } from './gate'
import { runs, script } from './model'
import { codeOf, firstArguments, needsDeadWorkers, until } from './support'

const count = (events: readonly string[], name: string) => events.filter((event) => event === name).length

/** Starts a worker that is taken for dead while it runs this many jobs, whose first runs end when the gate opens. */
async function takenForDead(context: ConformanceContext, jobs: number, attempts: number): Promise<Gate> {
  const gate = new Gate()
  const then = script.act
  script.act = (run) => (run.job.attempt === 1 ? gate.opened : then(run))
  const row = await context.record('one')
  for (let index = 0; index < jobs; index++) await backgrounded(row, { attempts }).act()
  const worker = context.work({ concurrency: jobs + 1 })
  await until(() => runs.length === jobs)
  // It claims no more jobs, so all later runs are another worker's.
  void worker.stop()
  await context.forgetWorkers()
  return gate
}

/** Jobs whose worker has died or was taken for dead. */
export const leaseCases: readonly ConformanceCase[] = [
  {
    title: 'gives the job of a dead worker to another one, and counts the death as an attempt',
    skip: needsDeadWorkers,
    run: async (context) => {
      await takenForDead(context, 1, 5)
      context.work({ concurrency: 2 })
      await until(() => context.events.includes('completed'))
      assert.deepEqual(context.events, ['retried', 'completed'])
      assert.equal(codeOf(context.errors[0]), 'WORKER_DIED')
      assert.deepEqual(
        runs.map(({ job }) => job.attempt),
        [1, 2],
      )
    },
  },
  {
    title: 'fails the job of a dead worker that was on its only attempt, and never runs it again',
    skip: needsDeadWorkers,
    run: async (context) => {
      const gate = await takenForDead(context, 1, 1)
      context.work({ concurrency: 2 })
      await until(() => context.events.includes('failed'))
      assert.equal(codeOf(context.errors[0]), 'WORKER_DIED')
      gate.open()
      await until(() => context.events.includes('leaseLost'))
      assert.deepEqual(context.events, ['failed', 'leaseLost'])
      assert.equal(runs.length, 1)
    },
  },
  {
    title: 'drops the outcome of a worker that was taken for dead',
    skip: needsDeadWorkers,
    run: async (context) => {
      const second = new Gate()
      script.act = () => second.opened
      const first = await takenForDead(context, 1, 5)
      context.work({ concurrency: 2 })
      await until(() => runs.length === 2)
      first.open()
      await until(() => context.events.includes('leaseLost'))
      // The run that counts goes on, and ends as if the first one had never come back.
      assert.deepEqual(context.events, ['retried', 'leaseLost'])
      second.open()
      await until(() => context.events.includes('completed'))
      assert.deepEqual(context.events, ['retried', 'leaseLost', 'completed'])
    },
  },
  {
    title: 'aborts the signal of a method whose worker was taken for dead, and lets the worker go on',
    skip: needsDeadWorkers,
    run: async (context) => {
      const gate = new Gate()
      script.act = ({ job }) => (job.attempt === 1 ? gate.opened : undefined)
      const row = await context.record('one')
      await backgrounded(row).act()
      context.work({ concurrency: 2 })
      await until(() => runs.length === 1)
      await context.forgetWorkers()
      const [{ job }] = runs as [(typeof runs)[number]]
      await until(() => job.signal.aborted)
      assert.equal(codeOf(job.signal.reason), 'LEASE_LOST')
      await backgrounded(row).note('next')
      await until(() => firstArguments().includes('next'))
      gate.open()
      await until(() => context.events.includes('leaseLost') && count(context.events, 'completed') === 2)
      assert.deepEqual([...context.events].sort(), ['completed', 'completed', 'leaseLost', 'retried'])
    },
  },
  {
    title: 'aborts the signal of a method whose worker was taken for dead, also while that worker has no free slot',
    skip: needsDeadWorkers,
    run: async (context) => {
      const gate = new Gate()
      script.act = () => gate.opened
      await backgrounded(await context.record('one'), { attempts: 1 }).act()
      context.work({ concurrency: 1 })
      await until(() => runs.length === 1)
      await context.forgetWorkers()
      context.work({ concurrency: 1 })
      await until(() => runs[0]?.job.signal.aborted === true)
      assert.equal(codeOf(runs[0]?.job.signal.reason), 'LEASE_LOST')
    },
  },
  {
    title: 'runs jobs on their last attempt whose worker died one at a time, and ordinary jobs beside them',
    skip: needsDeadWorkers,
    run: async (context) => {
      const { events, record } = context
      const gate = new Gate()
      let running = 0
      let most = 0
      script.act = async () => {
        most = Math.max(most, ++running)
        await gate.opened
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }
      const first = await takenForDead(context, 3, 2)
      context.work({ concurrency: 4 })
      await until(() => count(events, 'retried') === 3 && running > 0)
      await backgrounded(await record('ordinary')).note('beside')
      await until(() => firstArguments().includes('beside'))
      gate.open()
      first.open()
      await until(() => count(events, 'completed') === 4 && count(events, 'leaseLost') === 3)
      assert.equal(most, 1)
    },
  },
  {
    title: 'runs jobs whose worker died, and that have several attempts left, in at most half of its slots',
    skip: needsDeadWorkers,
    run: async (context) => {
      const { events } = context
      const gate = new Gate()
      let running = 0
      let most = 0
      script.act = async () => {
        most = Math.max(most, ++running)
        await gate.opened
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }
      const first = await takenForDead(context, 3, 5)
      context.work({ concurrency: 4 })
      await until(() => count(events, 'retried') === 3 && running === 2)
      gate.open()
      first.open()
      await until(() => count(events, 'completed') === 3 && count(events, 'leaseLost') === 3)
      assert.equal(most, 2)
    },
  },
]

import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import { reference } from '../../job/entity-reference'
import { SnoozeJob } from '../../worker/discard-and-snooze'
import type { ConformanceCase } from './conformance-case'
import { ConformanceRecord, runs, script } from './model'
import { codeOf, needsWorker, runsNothing, until } from './support'

const attempts = () => runs.map(({ job }) => job.attempt)
const missingRow = () => reference(ConformanceRecord, 987_654)

/** How a job ends: retried, failed, discarded, snoozed, or with its row gone. */
export const outcomeCases: readonly ConformanceCase[] = [
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
    title: 'counts the attempts of a job',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      script.act = ({ job }) => {
        if (job.attempt < 4) throw new Error('not yet')
      }
      await backgrounded(await record('one')).act()
      assert.equal((await drain(dataSource)).retried, 3)
      assert.deepEqual(attempts(), [1, 2, 3, 4])
    },
  },
  {
    title: 'gives every attempt the arguments of the call, even if an earlier one has changed them',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const seen: string[] = []
      script.act = ({ args: [list] }) => {
        seen.push(JSON.stringify(list))
        ;(list as { deep: number[] }[])[0]?.deep.push(2)
        if (seen.length < 3) throw new Error('not yet')
      }
      const argument = [{ deep: [1] }]
      const call = backgrounded(await record('one')).act(argument)
      argument.pop()
      await call
      await drain(dataSource)
      assert.deepEqual(seen, Array(3).fill('[{"deep":[1]}]'))
    },
  },
  {
    title: 'holds a failed job back for as long as its backoff says',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one')).failSlowly()
      await drain(dataSource)
      await drain(dataSource)
      assert.deepEqual(events, ['retried'])
    },
  },
  {
    title: 'fails a job after its last attempt, and does not run it again',
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
    title: 'gives a job the attempts that its call asks for',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded(row, { attempts: 1 }).failAlways()
      assert.equal((await drain(dataSource)).failed, 1)
      await backgrounded(row, { attempts: 3 }).failAlways()
      assert.equal((await drain(dataSource)).retried, 2)
      assert.deepEqual(attempts(), [1, 1, 2, 3])
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
    title: 'snoozes a job without using an attempt, and claims it only once in a drain',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      await backgrounded(await record('one'), { attempts: 1 }).snooze()
      assert.equal((await drain(dataSource)).released, 1)
      assert.equal((await drain(dataSource)).released, 0)
      assert.deepEqual(events, ['released'])
    },
  },
  {
    title: 'runs a snoozed job again once it is due, as the same attempt',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      script.act = () => {
        if (runs.length < 3) throw new SnoozeJob(runs.length === 1 ? 0 : 20)
      }
      await backgrounded(await record('one'), { attempts: 1 }).act()
      assert.equal((await drain(dataSource)).released, 1)
      await until(async () => (await drain(dataSource)).completed === 1)
      assert.deepEqual(attempts(), [1, 1, 1])
    },
  },
  {
    title: 'discards a job whose row is gone, and runs its neighbour',
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
    title: "fails a job whose row is gone if its method says onMissing: 'fail'",
    skip: needsWorker,
    run: async ({ dataSource, events, errors }) => {
      await backgrounded(missingRow()).noteOrFail()
      await drain(dataSource)
      assert.deepEqual(events, ['failed'])
      assert.equal(codeOf(errors[0]), 'ROW_MISSING')
    },
  },
  {
    title: "retries a job whose row is gone if its method says onMissing: 'retry', and fails it in the end",
    skip: needsWorker,
    run: async ({ dataSource, events, errors }) => {
      await backgrounded(missingRow()).noteOrRetry()
      await drain(dataSource)
      assert.deepEqual(events, ['retried', 'failed'])
      assert.deepEqual(errors.map(codeOf), ['ROW_MISSING', 'ROW_MISSING'])
    },
  },
]

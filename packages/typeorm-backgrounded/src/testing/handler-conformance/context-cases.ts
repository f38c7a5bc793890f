import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import { currentJobOrUndefined } from '../../worker/job-context'
import type { ConformanceCase } from './conformance-case'
import { ConformanceRecord, runs, script } from './model'
import { needsWorker, runsNothing } from './support'

/** What a running method sees of its job. */
export const contextCases: readonly ConformanceCase[] = [
  {
    title: 'shows the running method its job',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const start = Date.now()
      const { id } = await backgrounded(row, { queue: 'mail', attempts: 7 }).note()
      await drain(dataSource)
      const { job } = runs[0] as (typeof runs)[number]
      const { entity, key, method, queue, attempt, attempts } = job
      assert.deepEqual(
        { id: job.id, entity, key, method, queue, attempt, attempts },
        {
          id,
          entity: 'ConformanceRecord',
          key: { id: row.id },
          method: 'note',
          queue: 'mail',
          attempt: 1,
          attempts: 7,
        },
      )
      // The time may be by the store's clock.
      assert.ok(Math.abs(job.enqueuedAt.getTime() - start) < 60_000)
      assert.equal(job.signal.aborted, false)
      assert.equal(currentJobOrUndefined(), undefined)
    },
  },
  {
    title: "lets the running method write to the database through the job's manager",
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      script.act = ({ id, job }) => job.manager.update(ConformanceRecord, id, { title: 'acted' })
      const { id } = await record('one')
      await backgrounded(await record('two')).act()
      await drain(dataSource)
      const rows = await dataSource.manager.find(ConformanceRecord, { order: { id: 'ASC' } })
      assert.deepEqual(
        rows.map((row) => [row.id === id, row.title]),
        [
          [true, 'one'],
          [false, 'acted'],
        ],
      )
    },
  },
  {
    title: 'lets a running method make background calls, inside a transaction and outside',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      script.act = async ({ row, job }) => {
        await backgrounded(row as ConformanceRecord).note('outside')
        await job.manager.transaction(() => backgrounded(row as ConformanceRecord).note('inside'))
      }
      await backgrounded(await record('one')).act()
      await drain(dataSource)
      await drain(dataSource)
      assert.deepEqual(runs.flatMap(({ args }) => args).sort(), ['inside', 'outside'])
    },
  },
  {
    title: 'accepts any value as progress, and completes the job',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      script.act = async ({ job }) => {
        for (const value of [0.5, 'half \0 \uD800', { of: [1, 2] }, null, undefined]) job.progress(value)
        await new Promise((resolve) => setImmediate(resolve))
        job.progress(1)
      }
      await backgrounded(await record('one')).act()
      await drain(dataSource)
      assert.deepEqual(events, ['completed'])
    },
  },
]

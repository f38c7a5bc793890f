import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import { InvalidOptionError } from '../../errors'
import { DiscardJob, SnoozeJob } from '../../worker/discard-and-snooze'
import type { ConformanceCase } from './conformance-case'
import { runs, script } from './model'
import { firstArguments, inspectable, needsInspection, needsWorker, runsNothing } from './support'

const storable = [
  '',
  ' ',
  `it's "quoted"`,
  'back\\slash \\0 \\u0000',
  '100 % of $1, ?, :name and {{it}}',
  '--; DROP TABLE conformance_record; /*',
  '😀 👩‍👩‍👧 e\u0301',
  'שלום \u202Eright to left\u202C',
  'lines\r\nand\u2028separators\u2029 and\ttabs',
  'null',
]
const unstorable = ['NUL \0 inside', '\0', 'lone \uD800 surrogate', '\uDFFF', '\uFFFE\uFFFF', '\u0001\u001F\u007F']
const queues = [
  'Größe',
  "o'clock",
  'a"b',
  'back\\slash',
  '100%',
  '$1',
  '😀',
  'שלום',
  'a:b',
  '{tag}',
  '[a-z]?',
  'x'.repeat(100),
]
const ugly = `\0 and \uD800 and 😀 ${'x'.repeat(20_000)}`

/** Text that databases, scripts and protocols often mishandle. */
export const textCases: readonly ConformanceCase[] = [
  {
    title: 'keeps odd text in arguments',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const texts = [...storable, ...unstorable]
      await backgrounded(row).note(...texts)
      await backgrounded(row).note(Object.fromEntries(texts.map((text) => [text, text])))
      await drain(dataSource, { concurrency: 1 })
      assert.deepEqual(runs[0]?.args, texts)
      assert.deepEqual(Object.keys(runs[1]?.args[0] as object), texts)
    },
  },
  {
    title: 'keeps a very long text in arguments',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const text = '\u20AC😀\0'.repeat(50_000)
      await backgrounded(await record('one')).note(text)
      await drain(dataSource)
      assert.ok(firstArguments()[0] === text)
    },
  },
  {
    title: 'reloads a row that holds odd text',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const titles = storable.map((text) => `<${text}>`)
      for (const title of titles) await backgrounded(await record(title)).note()
      await drain(dataSource, { concurrency: 1 })
      assert.deepEqual(runs.map(({ title }) => title).sort(), titles.sort())
    },
  },
  {
    title: 'keeps queues with odd names apart',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      for (const queue of queues) await backgrounded(row, { queue }).note(queue)
      for (const queue of queues) {
        runs.length = 0
        await drain(dataSource, { queues: [queue] })
        assert.deepEqual(
          runs.map(({ args, job }) => [args[0], job.queue]),
          [[queue, queue]],
        )
      }
    },
  },
  {
    title: 'treats queue names that differ only in case or accents as different queues',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const names = ['mail', 'Mail', 'MAIL', 'máil', 'ma\u0301il']
      for (const queue of names) await backgrounded(row, { queue }).note(queue)
      for (const queue of names) {
        runs.length = 0
        await drain(dataSource, { queues: [queue] })
        assert.deepEqual(firstArguments(), [queue])
      }
    },
  },
  {
    title: 'refuses a queue name that some stores cannot keep',
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      for (const queue of ['a\0b', 'a\u0001b', 'a\uD800b', 'a b', 'a,b', '*', 'x'.repeat(101)]) {
        await assert.rejects(backgrounded(row, { queue }).note(), InvalidOptionError)
      }
      await drain(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'fails a job with an error that no store can keep, and completes its neighbours',
    skip: needsWorker,
    run: async ({ record, dataSource, events }) => {
      const row = await record('one')
      const errors = [new Error(ugly), ugly, null, undefined, Object.create(null), { toString: null }]
      script.act = ({ args }) => {
        throw errors[Number(args[0])]
      }
      for (const index of errors.keys()) await backgrounded(row, { attempts: 2 }).act(index)
      await backgrounded(row).note()
      const counts = await drain(dataSource)
      assert.deepEqual([counts.failed, counts.retried, counts.completed], [errors.length, errors.length, 1])
      assert.ok(!events.includes('leaseLost'))
    },
  },
  {
    title: 'discards and snoozes a job for a reason that no store can keep',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      script.act = ({ args }) => {
        throw args[0] === 'discard' ? new DiscardJob(ugly) : new SnoozeJob('1h', ugly)
      }
      await backgrounded(row).act('discard')
      await backgrounded(row).act('snooze')
      const counts = await drain(dataSource)
      assert.deepEqual([counts.discarded, counts.released], [1, 1])
    },
  },
  {
    title: 'shows the error of a failed job as valid text, cut to a limit',
    skip: needsInspection,
    run: async (context) => {
      script.act = () => {
        throw new Error(ugly)
      }
      await backgrounded(await context.record('one'), { attempts: 1 }).act()
      await drain(context.dataSource)
      const [failed] = await inspectable(context).find({ state: 'failed' })
      const text = failed?.error ?? ''
      assert.match(text, /\uFFFD and \uFFFD and 😀 x{1000}/)
      assert.ok(text.isWellFormed() && !text.includes('\0') && text.length <= 10_000)
    },
  },
]

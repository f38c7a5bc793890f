import assert from 'node:assert/strict'
import { drain, settled } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import type { ConformanceCase } from './conformance-case'
import { runs } from './model'
import { codeOf, envelope, firstArguments, needsWorker, runsNothing } from './support'

const MEGABYTE = 1_000_000
/** A text of `size` bytes in which nothing repeats, so that it cannot be compressed away. */
const textOf = (size: number) =>
  Array.from({ length: size / 10 }, (_, index) => String(index).padStart(10, '.')).join('')
const large = textOf(5 * MEGABYTE)

/** 'taken', or the code of the error with which the call was refused. */
const answerOf = (call: Promise<unknown>) => call.then(() => 'taken', codeOf)

/** Many jobs at once, some of which are large or refused. */
export const batchCases: readonly ConformanceCase[] = [
  {
    title: 'takes a call on many rows in one write, and returns the receipts in order',
    run: async ({ record, dataSource, handler }) => {
      const rows = [await record('a'), await record('b'), await record('c')]
      const receipts = await backgrounded(rows).note()
      assert.equal(new Set(receipts.map(({ id }) => id)).size, 3)
      await drain(dataSource)
      if (handler.capabilities.consumes === 'never') return
      assert.deepEqual(
        receipts.map(({ id }) => runs.find(({ job }) => job.id === id)?.title),
        ['a', 'b', 'c'],
      )
    },
  },
  {
    title: 'runs each of many concurrent calls exactly once',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await Promise.all(Array.from({ length: 50 }, (_, index) => backgrounded(row).note(index)))
      await drain(dataSource)
      assert.deepEqual(
        firstArguments().sort((a, b) => Number(a) - Number(b)),
        [...Array(50).keys()],
      )
    },
  },
  {
    title: 'takes a thousand rows in one call',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded(Array<typeof row>(1_000).fill(row)).note()
      assert.equal((await drain(dataSource, { concurrency: 50 })).completed, 1_000)
      assert.equal(new Set(runs.map(({ job }) => job.id)).size, 1_000)
    },
  },
  {
    title: 'gives each of two jobs on one row an object of its own',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded([row, row]).note()
      await drain(dataSource, { concurrency: 2 })
      assert.equal(runs.length, 2)
      assert.notEqual(runs[0]?.row, runs[1]?.row)
    },
  },
  {
    title: 'keeps arguments of 1 MB unchanged, several of them in one write',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const argument = textOf(MEGABYTE)
      await backgrounded([await record('one'), await record('two'), await record('three')]).note(argument)
      await drain(dataSource)
      assert.deepEqual(
        runs.map(({ args }) => args[0] === argument),
        [true, true, true],
      )
    },
  },
  {
    title: 'never sees a call of 5 MB, which is refused while it is encoded, and takes the calls beside it',
    skip: runsNothing,
    run: async ({ record, dataSource, events }) => {
      const row = await record('one')
      const call = (text: string) => answerOf(backgrounded(row).note(text))
      const answers = await Promise.all(['before', large, 'after'].map(call))
      await drain(dataSource)
      assert.deepEqual(answers, ['taken', 'PAYLOAD_TOO_LARGE', 'taken'])
      assert.deepEqual([...firstArguments()].sort(), ['after', 'before'])
      assert.ok(!events.includes('enqueueFailed'))
    },
  },
  {
    title: 'answers for each job of a write, in order, even if it refuses one',
    skip: needsWorker,
    run: async (context) => {
      const jobs = [
        await envelope(context, { args: ['before'] }),
        await envelope(context, { args: [large] }),
        await envelope(context, { args: ['after'] }),
      ]
      const [before, middle, after, ...rest] = await context.handler.enqueue(jobs)
      assert.deepEqual([before?.state, after?.state, rest], ['enqueued', 'enqueued', []])
      assert.ok(middle?.state === 'enqueued' || middle?.state === 'failed')
      const isTaken = middle.state === 'enqueued'
      assert.equal((await drain(context.dataSource)).completed, isTaken ? 3 : 2)
    },
  },
  {
    title: 'runs the other calls of a transaction beside a refused one, unless the transaction is rolled back',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const isCommitted = await dataSource
        .transaction(() => Promise.allSettled(['before', large, 'after'].map((text) => backgrounded(row).note(text))))
        .then(
          () => true,
          () => false,
        )
      // Rejects where the handler refuses the job only after the commit.
      await settled(dataSource).catch(() => {})
      await drain(dataSource)
      const small = firstArguments().filter((text) => text !== large)
      assert.deepEqual(small.sort(), isCommitted ? ['after', 'before'] : [])
    },
  },
]

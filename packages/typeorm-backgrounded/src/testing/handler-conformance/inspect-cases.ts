import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import { InvalidOptionError } from '../../errors'
import type { JobQuery } from '../../handlers/contract/inspectable'
import type { ConformanceCase, ConformanceContext } from './conformance-case'
import { Gate } from './gate'
import { ConformanceRecord, runs, script } from './model'
import { inspectable, needsInspection, until } from './support'

/** Makes jobs in every state in which a job stays without a worker, in two queues, on three receivers. */
async function oneOfEach({ record, dataSource }: ConformanceContext): Promise<{ one: ConformanceRecord }> {
  const one = await record('one')
  const two = await record('two')
  await backgrounded(one, { queue: 'other' }).failAlways()
  await backgrounded(two).discard()
  await drain(dataSource)
  await backgrounded(one).note('now')
  await backgrounded(one, { queue: 'other', delay: '1h' }).note('later')
  await backgrounded(ConformanceRecord).sweep()
  return { one }
}

async function found(context: ConformanceContext, query: JobQuery): Promise<string[]> {
  const jobs = await inspectable(context).find(query)
  return jobs.map(({ envelope, state }) => `${envelope.method} ${state}`).sort()
}

const skip: ConformanceCase['skip'] = (capabilities) =>
  needsInspection(capabilities) ?? (capabilities.honours.delay ? undefined : 'it has no delay')

/** What a handler shows of its jobs. */
export const inspectCases: readonly ConformanceCase[] = [
  {
    title: 'counts jobs by state',
    skip,
    run: async (context) => {
      const none = { waiting: 0, running: 0, completed: 0, failed: 0, discarded: 0 }
      assert.deepEqual(await inspectable(context).counts(), none)
      await oneOfEach(context)
      assert.deepEqual(await inspectable(context).counts(), { ...none, waiting: 3, failed: 1, discarded: 1 })
    },
  },
  {
    title: 'finds jobs by queue, entity, key, method and state, and by several of them at once',
    skip,
    run: async (context) => {
      const { one } = await oneOfEach(context)
      const failed = 'failAlways failed'
      const all = ['discard discarded', failed, 'note waiting', 'note waiting', 'sweep waiting']
      assert.deepEqual(await found(context, {}), all)
      assert.deepEqual(await found(context, { queue: 'other' }), [failed, 'note waiting'])
      assert.deepEqual(await found(context, { queue: 'nowhere' }), [])
      assert.deepEqual(await found(context, { entity: 'ConformanceRecord' }), all)
      assert.deepEqual(await found(context, { entity: 'Other' }), [])
      assert.deepEqual(await found(context, { key: { id: one.id } }), [failed, 'note waiting', 'note waiting'])
      assert.deepEqual(await found(context, { method: 'note' }), ['note waiting', 'note waiting'])
      assert.deepEqual(await found(context, { state: 'discarded' }), ['discard discarded'])
      assert.deepEqual(await found(context, { state: 'waiting', queue: 'other', method: 'note' }), ['note waiting'])
    },
  },
  {
    title: 'finds jobs by age',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await backgrounded(row).note('first')
      const names = async (query: JobQuery) =>
        (await inspectable(context).find(query)).map(({ envelope }) => envelope.args[0]).sort()
      assert.deepEqual(await names({ olderThan: '1h' }), [])
      await until(async () => (await names({ olderThan: '2s' })).length === 1)
      await backgrounded(row).note('second')
      assert.deepEqual(await names({ newerThan: 1_500 }), ['second'])
      assert.deepEqual(await names({ olderThan: 1_500 }), ['first'])
      assert.deepEqual(await names({ newerThan: '1h' }), ['first', 'second'])
      assert.deepEqual(await names({ olderThan: 1_500, newerThan: '1h' }), ['first'])
      await assert.rejects(inspectable(context).find({ olderThan: 'long' as never }), InvalidOptionError)
    },
  },
  {
    title: 'finds no more jobs than it is asked for',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await backgrounded(Array<typeof row>(120).fill(row)).note()
      assert.equal((await inspectable(context).find({ limit: 7 })).length, 7)
      assert.equal((await inspectable(context).find({})).length, 100)
      assert.equal((await inspectable(context).find({ limit: 200 })).length, 120)
    },
  },
  {
    title: 'shows a job as it was called, with its attempt and its error',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      const { id } = await backgrounded(row, { queue: 'mail' }).failAlways()
      await drain(context.dataSource)
      const [job] = await inspectable(context).find({ state: 'failed' })
      assert.deepEqual([job?.id, job?.state, job?.attempt], [id, 'failed', 2])
      assert.match(job?.error ?? '', /every attempt fails/)
      const { entity, key, method, args, queue, source } = job?.envelope ?? {}
      assert.deepEqual(
        { id: job?.envelope.id, entity, key, method, args, queue, source },
        {
          id,
          entity: 'ConformanceRecord',
          key: { id: row.id },
          method: 'failAlways',
          args: [],
          queue: 'mail',
          source: 'default',
        },
      )
    },
  },
  {
    title: 'shows a running job',
    skip: needsInspection,
    run: async (context) => {
      const gate = new Gate()
      script.act = () => gate.opened
      await backgrounded(await context.record('one')).act()
      context.work()
      await until(() => runs.length === 1)
      assert.deepEqual(await found(context, { state: 'running' }), ['act running'])
      assert.equal((await inspectable(context).counts()).running, 1)
    },
  },
  {
    title: 'shows completed jobs for as long as they are kept',
    skip: (capabilities) =>
      needsInspection(capabilities) ?? (capabilities.honours.keepCompleted ? undefined : 'it keeps no completed jobs'),
    options: { keepCompleted: '1d' },
    run: async (context) => {
      await backgrounded(await context.record('one')).note()
      await drain(context.dataSource)
      assert.deepEqual(await found(context, {}), ['note completed'])
      assert.equal((await inspectable(context).counts()).completed, 1)
    },
  },
]

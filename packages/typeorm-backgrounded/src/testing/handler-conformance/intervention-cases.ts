import assert from 'node:assert/strict'
import { drain } from '../../plugin/attach'
import { backgrounded } from '../../dispatch/backgrounded'
import type { JobQuery } from '../../handlers/contract/inspectable'
import type { ConformanceCase } from './conformance-case'
import { Gate } from './gate'
import { runs, script } from './model'
import { firstArguments, inspectable, needsInspection, until } from './support'

const hour = 60 * 60 * 1000

/** How an operator retries, drops, pauses and prunes jobs. */
export const interventionCases: readonly ConformanceCase[] = [
  {
    title: 'retries a failed job on request, with all its attempts',
    skip: needsInspection,
    run: async (context) => {
      const { id } = await backgrounded(await context.record('one')).failAlways()
      await drain(context.dataSource)
      assert.equal(await inspectable(context).retry([id, 'unknown']), 1)
      const counts = await drain(context.dataSource)
      assert.deepEqual([counts.retried, counts.failed], [1, 1])
      assert.deepEqual(
        runs.map(({ job }) => job.attempt),
        [1, 2, 1, 2],
      )
    },
  },
  {
    title: 'retries a discarded job on request, but not a waiting one',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      const discarded = await backgrounded(row).discard()
      await drain(context.dataSource)
      const waiting = await backgrounded(row).note()
      assert.equal(await inspectable(context).retry([discarded.id, waiting.id]), 1)
      const counts = await drain(context.dataSource)
      assert.deepEqual([counts.discarded, counts.completed], [1, 1])
    },
  },
  {
    title: 'drops a waiting job on request, so that it never runs',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      const { id } = await backgrounded(row).note('dropped')
      await backgrounded(row).note('kept')
      assert.equal(await inspectable(context).discard([id, 'unknown']), 1)
      await drain(context.dataSource)
      assert.deepEqual(firstArguments(), ['kept'])
      assert.equal(await inspectable(context).discard([id]), 0)
    },
  },
  {
    title: 'neither drops nor finds jobs by values that are not texts',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await backgrounded(row).note('waits')
      const handler = inspectable(context)
      for (const odd of [0, 1, true, false, null, {}, [], new Date(0)]) {
        await rejectsOrIsNothing(() => handler.discard([odd as never]))
        await rejectsOrIsNothing(() => handler.retry([odd as never]))
        await rejectsOrIsNothing(() => handler.discard(odd as never))
        for (const name of ['queue', 'entity', 'method', 'state'] as const)
          await rejectsOrIsNothing(async () => (await handler.find({ [name]: odd })).length)
        await handler.pause(odd as never).catch(() => {})
        await handler.prune({ before: odd as never }).catch(() => {})
      }
      await rejectsOrIsNothing(async () => (await handler.find({ que: 'nowhere' } as JobQuery)).length)
      assert.equal((await drain(context.dataSource)).completed, 1)
    },
  },
  {
    title: 'does not drop a running job, which completes',
    skip: needsInspection,
    run: async (context) => {
      const gate = new Gate()
      script.act = () => gate.opened
      const { id } = await backgrounded(await context.record('one')).act()
      context.work()
      await until(() => runs.length === 1)
      assert.equal(await inspectable(context).discard([id]), 0)
      assert.equal(await inspectable(context).retry([id]), 0)
      gate.open()
      await until(() => context.events.length > 0)
      assert.deepEqual(context.events, ['completed'])
    },
  },
  {
    title: 'claims no jobs of a paused queue until it is resumed, and goes on with other queues',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await backgrounded(row).note('came before')
      await inspectable(context).pause('default')
      await backgrounded(row).note('came after')
      await backgrounded(row, { queue: 'other' }).note('elsewhere')
      await drain(context.dataSource)
      assert.deepEqual(firstArguments(), ['elsewhere'])
      assert.equal((await inspectable(context).counts()).waiting, 2)
      await inspectable(context).resume('default')
      await drain(context.dataSource)
      assert.deepEqual(firstArguments().sort(), ['came after', 'came before', 'elsewhere'])
    },
  },
  {
    title: 'lets a running worker go on when its queue is resumed',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await inspectable(context).pause('default')
      context.work()
      await backgrounded(row).note('paused')
      await backgrounded(row, { queue: 'other' }).note('elsewhere')
      await until(() => firstArguments().includes('elsewhere'))
      await inspectable(context).resume('default')
      await until(() => firstArguments().includes('paused'))
      assert.deepEqual(firstArguments(), ['elsewhere', 'paused'])
    },
  },
  {
    title: 'prunes the kept jobs that ended before a given time, of one state if asked to',
    skip: needsInspection,
    run: async (context) => {
      const row = await context.record('one')
      await backgrounded(row).failAlways()
      await backgrounded(row).discard()
      await drain(context.dataSource)
      await backgrounded(row).note('waits')
      const past = new Date(Date.now() - hour)
      const future = new Date(Date.now() + hour)
      assert.equal(await inspectable(context).prune({ before: past }), 0)
      assert.equal(await inspectable(context).prune({ before: future, state: 'discarded' }), 1)
      const { failed, discarded, waiting } = await inspectable(context).counts()
      assert.deepEqual({ failed, discarded, waiting }, { failed: 1, discarded: 0, waiting: 1 })
      assert.equal(await inspectable(context).prune({ before: future }), 1)
      assert.equal((await drain(context.dataSource)).completed, 1)
    },
  },
]

async function rejectsOrIsNothing(ask: () => Promise<number>): Promise<void> {
  let number = 0
  try {
    number = await ask()
  } catch {
    return // the handler refused the value
  }
  assert.equal(number, 0)
}

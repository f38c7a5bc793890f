import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { DataSource } from 'typeorm'
import { createWorker, drain, settled } from '../../backgrounded'
import { backgrounded } from '../../dispatch/proxy'
import { UnsupportedOptionError } from '../../errors'
import type { HandlerCapabilities } from '../../handlers/handler'
import { reference } from '../../job/entity-reference'
import type { JobEnvelope } from '../../job/envelope'
import type { ConformanceCase, ConformanceContext } from '.'
import { ConformanceRecord, gate, runs } from './model'

const runsNothing = ({ consumes }: HandlerCapabilities) => (consumes === 'never' ? 'it runs no jobs' : undefined)
const needsWorker = ({ consumes }: HandlerCapabilities) =>
  consumes === 'worker' ? undefined : 'it keeps no jobs for a worker'

export const cases: readonly ConformanceCase[] = [
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
    title: 'takes many rows in one write, receipts in order',
    run: async ({ record, dataSource, handler }) => {
      const rows = [await record('a'), await record('b'), await record('c')]
      const receipts = await backgrounded(rows).note()
      assert.equal(new Set(receipts.map(({ id }) => id)).size, 3)
      await drain(dataSource)
      if (handler.capabilities.consumes !== 'never')
        assert.deepEqual(runs.map(({ title }) => title).sort(), ['a', 'b', 'c'])
    },
  },
  {
    title: 'takes concurrent calls, none lost and none twice',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await Promise.all(Array.from({ length: 50 }, (_, index) => backgrounded(row).note(index)))
      await drain(dataSource)
      assert.deepEqual(
        runs.map(({ args }) => args[0]).sort((a, b) => Number(a) - Number(b)),
        [...Array(50).keys()],
      )
    },
  },
  {
    title: 'gives two jobs on one row an object each',
    skip: needsWorker,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded([row, row]).note()
      await drain(dataSource)
      assert.equal(runs.length, 2)
      assert.notEqual(runs[0]?.row, runs[1]?.row)
    },
  },
  {
    title: 'holds a delayed job back until it is due',
    skip: (capabilities) => needsWorker(capabilities) ?? (capabilities.honours.delay ? undefined : 'it has no delay'),
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await backgrounded(row, { delay: '1h' }).note('delay')
      await backgrounded(row, { runAt: new Date(Date.now() + 3_600_000) }).note('runAt')
      await backgrounded(row, { delay: 30 }).note('soon')
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
    title: 'works on the queues it is given',
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
  {
    title: 'lets a call follow its transaction: committed, it runs',
    skip: runsNothing,
    run: async ({ dataSource }) => {
      await dataSource.transaction(async (manager) => {
        const row = await manager.save(Object.assign(new ConformanceRecord(), { title: 'inside' }))
        assert.equal((await backgrounded(row).note()).state, 'deferred')
        assert.equal(runs.length, 0)
      })
      await settle(dataSource)
      assert.deepEqual(
        runs.map(({ title }) => title),
        ['inside'],
      )
    },
  },
  {
    title: 'lets a call follow its transaction: rolled back, it never runs',
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await rolledBack(
        dataSource.transaction(async () => {
          await backgrounded(row).note()
          throw new RollBack()
        }),
      )
      await settle(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'drops the jobs of a savepoint that rolls back, and no others',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async (manager) => {
        await backgrounded(row).note('before')
        await rolledBack(
          manager.transaction(async () => {
            await backgrounded(row).note('inside')
            throw new RollBack()
          }),
        )
        await manager.transaction(() => backgrounded(row).note('kept'))
        await backgrounded(row).note('after')
      })
      await settle(dataSource)
      assert.deepEqual(runs.map(({ args }) => args[0]).sort(), ['after', 'before', 'kept'])
    },
  },
  {
    title: 'drops the jobs of a released savepoint when its transaction rolls back',
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await rolledBack(
        dataSource.transaction(async (manager) => {
          await manager.transaction(() => backgrounded(row).note())
          throw new RollBack()
        }),
      )
      await settle(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'takes calls in a transaction that nobody awaits',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async () => {
        void backgrounded(row).note(1)
        void backgrounded(row).note(2)
        await Promise.resolve()
      })
      await settle(dataSource)
      assert.deepEqual(
        runs.map(({ args }) => args[0]),
        [1, 2],
      )
    },
  },
  {
    title: 'sends a call with manager: null whatever becomes of the transaction',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await rolledBack(
        dataSource.transaction(async (manager) => {
          await manager.update(ConformanceRecord, row.id, { title: 'changed' })
          await backgrounded(row, { manager: null }).note()
          throw new RollBack()
        }),
      )
      await settle(dataSource)
      assert.equal(runs.length, 1)
    },
  },
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

class RollBack extends Error {}

async function rolledBack(transaction: Promise<unknown>): Promise<void> {
  await assert.rejects(transaction, RollBack)
}

/** Delivers the deferred calls, and runs everything that is due. */
async function settle(dataSource: DataSource): Promise<void> {
  await settled(dataSource)
  await drain(dataSource)
}

/** Puts jobs that no call could make beside a sound one, which must run. */
async function forge({ record, handler }: ConformanceContext, ...changes: readonly object[]): Promise<void> {
  const { id } = await record('one')
  const now = new Date().toISOString()
  const sound = {
    v: 1,
    source: 'default',
    entity: 'ConformanceRecord',
    key: { id },
    method: 'note',
    args: [],
    queue: 'default',
    priority: 0,
    enqueuedAt: now,
    runAt: now,
    meta: {},
  }
  const jobs = [{}, ...changes].map((change) => ({ ...sound, ...change, id: randomUUID() }))
  await handler.enqueue(jobs as unknown as JobEnvelope[])
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const start = Date.now(); Date.now() - start < 10_000;) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('waited 10 s in vain')
}

import assert from 'node:assert/strict'
import { backgrounded } from '../../dispatch/proxy'
import type { ConformanceCase } from './conformance-case'
import { ConformanceRecord, runs } from './model'
import { RollBack, rolledBack, runsNothing, settle } from './support'

/** A call follows its transaction. */
export const transactionCases: readonly ConformanceCase[] = [
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
]

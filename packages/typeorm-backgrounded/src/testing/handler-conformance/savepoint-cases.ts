import assert from 'node:assert/strict'
import { backgrounded } from '../../dispatch/backgrounded'
import type { ConformanceCase } from './conformance-case'
import { runs } from './model'
import { firstArguments, RollBack, rolledBack, runsNothing, deliverAndDrain } from './support'

/** How the jobs of a savepoint, and only those, follow it. */
export const savepointCases: readonly ConformanceCase[] = [
  {
    title: 'drops only the jobs of a savepoint that rolls back',
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
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments().sort(), ['after', 'before', 'kept'])
    },
  },
  {
    title: 'runs the jobs of nested savepoints that were released, once the transaction has committed',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async (outer) => {
        await outer.transaction(async (middle) => {
          await backgrounded(row).note('middle')
          await middle.transaction(() => backgrounded(row).note('inner'))
        })
        assert.equal(runs.length, 0)
      })
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments().sort(), ['inner', 'middle'])
    },
  },
  {
    title: 'drops the jobs of a released savepoint when the one around it rolls back',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async (outer) => {
        await rolledBack(
          outer.transaction(async (middle) => {
            await middle.transaction(() => backgrounded(row).note('inner'))
            throw new RollBack()
          }),
        )
        await backgrounded(row).note('outer')
      })
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments(), ['outer'])
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
      await deliverAndDrain(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'drops a call of a savepoint that rolls back even if it was not awaited, and keeps the call outside',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async (manager) => {
        void backgrounded(row).note('outside')
        await rolledBack(
          manager.transaction(async () => {
            void backgrounded(row).note('inside')
            await Promise.resolve()
            throw new RollBack()
          }),
        )
      })
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments(), ['outside'])
    },
  },
]

import assert from 'node:assert/strict'
import type { DataSource } from 'typeorm'
import { backgrounded } from '../../dispatch/proxy'
import type { ConformanceCase } from './conformance-case'
import { Gate } from './gate'
import { ConformanceRecord, runs } from './model'
import { firstArguments, RollBack, rolledBack, runsNothing, settle } from './support'

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
    title: 'keeps the jobs of two transactions apart, of which one commits and one rolls back',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      const committing = new Gate()
      const rollingBack = new Gate()
      const commits = () =>
        dataSource.transaction(async () => {
          await backgrounded(row).note('committed')
          committing.open()
          await rollingBack.opened
        })
      const rollsBack = () =>
        dataSource.transaction(async () => {
          await committing.opened
          await backgrounded(row).note('rolled back')
          rollingBack.open()
          throw new RollBack()
        })
      if (hasOneConnection(dataSource)) {
        committing.open()
        await rolledBack(rollsBack())
        await commits()
      } else await Promise.all([commits(), rolledBack(rollsBack())])
      await settle(dataSource)
      assert.deepEqual(firstArguments(), ['committed'])
    },
  },
  {
    title: 'lets a call follow the transaction of its manager, which was begun by hand',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      for (const end of ['rollback', 'commit'] as const) {
        const runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        const { state } = await backgrounded(row, { manager: runner.manager }).note(end)
        assert.equal(state, 'deferred')
        await (end === 'commit' ? runner.commitTransaction() : runner.rollbackTransaction())
        await runner.release()
      }
      await settle(dataSource)
      assert.deepEqual(firstArguments(), ['commit'])
    },
  },
  {
    title: 'lets a call for many rows follow its transaction',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const rows = [await record('a'), await record('b')]
      await rolledBack(
        dataSource.transaction(async () => {
          await backgrounded(rows).note('rolled back')
          throw new RollBack()
        }),
      )
      await dataSource.transaction(() => backgrounded(rows).note('committed'))
      await settle(dataSource)
      assert.deepEqual(runs.map(({ title, args }) => `${title} ${String(args[0])}`).sort(), [
        'a committed',
        'b committed',
      ])
    },
  },
]

/** All code of the process shares it, and so its transactions: there is one at a time. */
function hasOneConnection(dataSource: DataSource): boolean {
  return dataSource.createQueryRunner() === dataSource.createQueryRunner()
}

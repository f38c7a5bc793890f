import assert from 'node:assert/strict'
import type { DataSource } from 'typeorm'
import { backgrounded } from '../../dispatch/backgrounded'
import type { ConformanceCase } from './conformance-case'
import { Gate } from './gate'
import { ConformanceRecord, runs } from './model'
import { firstArguments, RollBack, rolledBack, runsNothing, deliverAndDrain } from './support'

/** How a call follows its transaction. */
export const transactionCases: readonly ConformanceCase[] = [
  {
    title: 'runs the call of a transaction that commits',
    skip: runsNothing,
    run: async ({ dataSource }) => {
      await dataSource.transaction(async (manager) => {
        const row = await manager.save(Object.assign(new ConformanceRecord(), { title: 'inside' }))
        assert.equal((await backgrounded(row).note()).state, 'deferred')
        assert.equal(runs.length, 0)
      })
      await deliverAndDrain(dataSource)
      assert.deepEqual(
        runs.map(({ title }) => title),
        ['inside'],
      )
    },
  },
  {
    title: 'never runs the call of a transaction that rolls back',
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await rolledBack(
        dataSource.transaction(async () => {
          await backgrounded(row).note()
          throw new RollBack()
        }),
      )
      await deliverAndDrain(dataSource)
      assert.equal(runs.length, 0)
    },
  },
  {
    title: 'takes calls of a transaction that are not awaited',
    skip: runsNothing,
    run: async ({ record, dataSource }) => {
      const row = await record('one')
      await dataSource.transaction(async () => {
        void backgrounded(row).note(1)
        void backgrounded(row).note(2)
        await Promise.resolve()
      })
      await deliverAndDrain(dataSource)
      assert.deepEqual(
        runs.map(({ args }) => args[0]),
        [1, 2],
      )
    },
  },
  {
    title: 'sends a call with manager: null even if the transaction rolls back',
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
      await deliverAndDrain(dataSource)
      assert.equal(runs.length, 1)
    },
  },
  {
    title: 'keeps the jobs of two concurrent transactions apart, when one commits and one rolls back',
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
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments(), ['committed'])
    },
  },
  {
    title: 'lets a call follow the transaction of the given manager, which was started by hand',
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
      await deliverAndDrain(dataSource)
      assert.deepEqual(firstArguments(), ['commit'])
    },
  },
  {
    title: 'lets a call on many rows follow its transaction',
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
      await deliverAndDrain(dataSource)
      assert.deepEqual(runs.map(({ title, args }) => `${title} ${String(args[0])}`).sort(), [
        'a committed',
        'b committed',
      ])
    },
  },
]

/** Whether all code of the process shares one connection, and so one transaction at a time. */
function hasOneConnection(dataSource: DataSource): boolean {
  return dataSource.createQueryRunner() === dataSource.createQueryRunner()
}

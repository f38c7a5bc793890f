import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import type { DataSource, QueryRunner } from 'typeorm'
import { OpenTransaction } from '../../src/dispatch/open-transaction'
import type { JobEnvelope } from '../../src/job/envelope'
import { inMemory } from '../support/data-sources'

/** Comparing each event with each other one takes half a minute. */
const EVENTS = 100_000
const PATIENCE = 3_000

describe('the events of rows in one transaction', () => {
  let dataSource: DataSource
  let runner: QueryRunner
  let transaction: OpenTransaction

  beforeEach(async () => {
    dataSource = await inMemory([]).initialize()
    runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    const ignore = () => {}
    transaction = new OpenTransaction(runner, {
      rows: () => undefined,
      sendsEdges: () => false,
      dialect: undefined,
      isInTransaction: () => undefined,
      rolledBackByDatabase: () => {},
      refused: ignore,
      committed: ignore,
      rolledBackByCommit: ignore,
      cameLate: ignore,
    })
  })
  afterEach(async () => {
    while (runner.isTransactionActive) await runner.rollbackTransaction()
    await runner.release()
    await dataSource.destroy()
  })

  const add = (event: string) => transaction.add({ id: randomUUID() } as JobEnvelope, event)

  it(`are ${EVENTS.toLocaleString('en')} and are still found at once`, () => {
    const begin = performance.now()
    for (let index = 0; index < EVENTS; index++) {
      const event = `row ${index}`
      expect(transaction.hasRowEvent(event)).to.equal(false)
      void add(event)
      if (performance.now() - begin > PATIENCE) throw new Error(`only ${index} events in ${PATIENCE} ms`)
    }
    expect(transaction.hasRowEvent('row 0')).to.equal(true)
  })

  it('are forgotten with a savepoint that rolls back, and kept with one that is released', async () => {
    void add('outer')
    await runner.startTransaction()
    void add('inner')
    await runner.rollbackTransaction()
    transaction.rollBack()
    expect(['outer', 'inner'].map((event) => transaction.hasRowEvent(event))).to.deep.equal([true, false])
    await runner.startTransaction()
    void add('inner')
    await runner.commitTransaction()
    transaction.merge()
    expect(transaction.hasRowEvent('inner')).to.equal(true)
  })
})

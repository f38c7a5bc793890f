import { expect } from 'chai'
import type { DataSource } from 'typeorm'
import { Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, drain, withBackgrounded } from '../../../../src'
import { DatabaseHandler } from '../../../../src/handlers/database'
import { sqliteStatements } from '../../../../src/handlers/database/sqlite/statements'
import { jobTables } from '../../../../src/handlers/database/tables'
import { inFile } from '../../../support/data-sources'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const ran: string[] = []

@Entity()
class Order {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static ship(name: string): void {
    ran.push(name)
  }
}

describe('the due jobs of a SQLite database', () => {
  let dataSource: DataSource

  beforeEach(async () => {
    ran.length = 0
    dataSource = inFile([Order])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
  })

  afterEach(() => dataSource.destroy())

  it('run in the order of their calls, whatever their queues', async () => {
    for (let call = 0; call < 30; call++) {
      await dataSource.query('UPDATE backgrounded_jobs SET run_at = run_at - 1') // no two in one millisecond
      await backgrounded(Order, { queue: `tenant-${call % 7}` }).ship(String(call))
    }
    await drain(dataSource, { concurrency: 4 })
    expect(ran).to.deep.equal(Array.from({ length: 30 }, (_, call) => String(call)))
  })

  it('run by priority first', async () => {
    for (const priority of [3, -2, 0]) {
      for (const queue of ['a', 'b']) await backgrounded(Order, { queue, priority }).ship(`${priority}`)
    }
    await drain(dataSource, { concurrency: 1 })
    expect(ran).to.deep.equal(['-2', '-2', '0', '0', '3', '3'])
  })

  it('are found by the index for waiting jobs and read one by one', async () => {
    const sql = sqliteStatements(jobTables('sqlite', dataSource))
    const planOf = async (statement: string) =>
      (
        (await dataSource.query(`EXPLAIN QUERY PLAN ${statement}`, parametersOf(statement))) as { detail: string }[]
      ).map(({ detail }) => detail)
    expect(await planOf(sql.due)).to.have.lengthOf(1)
    expect((await planOf(sql.due))[0]).to.match(/SEARCH .* USING INDEX .*suspect.*queue.*priority.*run_at/i)
    expect((await planOf(sql.duePlaces))[0]).to.match(/USING COVERING INDEX/)
  })
})

function parametersOf(statement: string): unknown[] {
  return Array.from(statement.matchAll(/\?/g), () => 0)
}

import { expect } from 'chai'
import type { DataSource } from 'typeorm'
import { Checkpoints } from '../../../../src/handlers/database/sqlite/checkpoints'
import { consoleLogger } from '../../../../src/logger'
import { SqliteConnection } from '../../../../src/database/sqlite/connection'
import { inFile } from '../../../support/data-sources'
import { until } from '../../../support/worker-process'

describe('a checkpoint of a SQLite database', () => {
  let dataSource: DataSource
  let connection: SqliteConnection

  beforeEach(async () => {
    dataSource = await inFile([]).initialize()
    const host = {
      dataSource,
      logger: consoleLogger,
      isInsideTestTransaction: () => false,
      withAdvice: (error: unknown) => error,
    }
    connection = new SqliteConnection({ ...host, synchronous: 'NORMAL' })
    await connection.prepareForWork()
    await connection.write((run) => run('CREATE TABLE numbers (number integer)').run())
  })

  afterEach(async () => {
    connection.close()
    await dataSource.destroy()
  })

  const commit = (times: number) =>
    Promise.all(
      Array.from({ length: times }, () => connection.write((run) => run('INSERT INTO numbers VALUES (1)').run())),
    )

  /** Pages in the log, and how many of them the database has. */
  const pages = () =>
    connection.read((run) => run('PRAGMA wal_checkpoint(NOOP)').get() as { log: number; checkpointed: number })

  it('comes after many commits, without any of them waiting for it', async () => {
    const checkpoints = new Checkpoints(connection)
    await commit(10)
    for (let commits = 0; commits < 255; commits++) checkpoints.committed()
    const before = await pages()
    expect(before.log).to.be.greaterThan(10)
    expect(before.checkpointed).to.equal(0)
    checkpoints.committed()
    expect((await pages()).checkpointed).to.equal(0)
    let after = before
    await until(() => {
      void pages().then((now) => (after = now))
      return after.checkpointed === before.log
    })
  })

  it('is made by SQLite itself if none comes for too long', async () => {
    const text = 'x'.repeat(1_000_000)
    await connection.write((run) => run('CREATE TABLE texts (text text)').run())
    for (let commits = 0; commits < 50; commits++) {
      await connection.write((run) => run('INSERT INTO texts VALUES (?)').run(text))
    }
    expect((await pages()).log).to.be.within(1, 8_500) // of 12,000 that were written
  })

  it("is not made by the library on TypeORM's own connection, which a test's transaction uses", async () => {
    const host = {
      logger: consoleLogger,
      dataSource,
      isInsideTestTransaction: () => true,
      withAdvice: (error: unknown) => error,
    }
    const before = (await dataSource.query('PRAGMA wal_autocheckpoint')) as unknown
    await new SqliteConnection(host).prepareForWork()
    expect(await dataSource.query('PRAGMA wal_autocheckpoint')).to.deep.equal(before)
  })
})

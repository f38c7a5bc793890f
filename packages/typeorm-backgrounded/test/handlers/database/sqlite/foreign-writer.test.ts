import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, drain, withBackgrounded } from '../../../../src'
import { SqliteConnection } from '../../../../src/database/sqlite/connection'
import { DatabaseHandler } from '../../../../src/handlers/database'
import { databaseClassOf, sharedConnectionOf, type SqliteDatabase } from '../../../../src/upstream/sqlite'
import type { Execute } from '../../../../src/handlers/contract/consumable'
import type { BuiltInConsumeOptions } from '../../../../src/handlers/contract/built-in'
import { inFile } from '../../../support/data-sources'
import { silent } from '../../../support/program'
import { until } from '../../../support/worker-process'

let runs = 0
let gate: Promise<void> | undefined

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded({ backoff: 0 })
  static async send(): Promise<void> {
    runs++
    await gate
  }
}

/** Keeps the loops of its workers, which may go on after `run()`. */
class WatchedHandler extends DatabaseHandler {
  readonly loops: Promise<void>[] = []
  override consume(options: BuiltInConsumeOptions, execute: Execute) {
    const consumption = super.consume(options, execute)
    this.loops.push(consumption.finished)
    return consumption
  }
}

describe('a SQLite database in which another process keeps a write transaction open', () => {
  let dataSource: DataSource
  let handler: WatchedHandler
  let other: SqliteDatabase

  beforeEach(async () => {
    runs = 0
    gate = undefined
    handler = new WatchedHandler({ busyTimeout: 50 })
    dataSource = inFile([Parcel])
    await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
    const Database = databaseClassOf(dataSource, silent)
    other = new Database(sharedConnectionOf(dataSource).name)
  })
  afterEach(async () => {
    other.close()
    if (dataSource.isInitialized) await dataSource.destroy()
  })

  it('does not keep an idle worker alive whose data source is destroyed', async () => {
    const worker = createWorker(dataSource, { shutdownTimeout: 50, pollInterval: 10 })
    const finished = worker.run()
    await worker.ready
    other.exec('BEGIN IMMEDIATE')
    await backgrounded(Parcel)
      .send()
      .catch(() => {})
    await dataSource.destroy()
    await finished
    await Promise.all(handler.loops)
    expect(runs).to.equal(0)
  }).timeout(20_000)

  it('does not keep a worker alive whose outcome it kept from being stored, and the job runs again', async () => {
    let open = () => {}
    gate = new Promise((resolve) => (open = resolve))
    await backgrounded(Parcel).send()
    const worker = createWorker(dataSource, { shutdownTimeout: 50 })
    const finished = worker.run()
    await until(() => runs === 1)
    other.exec('BEGIN IMMEDIATE')
    open()
    await dataSource.destroy()
    await finished
    await Promise.all(handler.loops)
    other.exec('ROLLBACK')
    await dataSource.initialize()
    await drain(dataSource)
    expect(runs).to.equal(2)
  })

  it('does not keep a write waiting after its connection was closed, which opens no other one', async () => {
    const connection = new SqliteConnection({
      dataSource,
      logger: silent,
      isInsideTestTransaction: () => false,
      withAdvice: (error) => error,
    })
    await connection.read((run) => run('SELECT 1').get())
    other.exec('BEGIN IMMEDIATE')
    const write = connection.write((run) => run('DELETE FROM parcel').run()).catch((error: unknown) => error)
    connection.close()
    expect(await write).to.have.property('code', 'STORE_UNAVAILABLE')
    other.exec('ROLLBACK')
    expect(await connection.read((run) => run('SELECT 1').get()).catch((error: unknown) => error)).to.have.property(
      'code',
      'STORE_UNAVAILABLE',
    )
  })
})

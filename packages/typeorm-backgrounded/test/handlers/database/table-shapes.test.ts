import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { DataSource, Entity, PrimaryGeneratedColumn, type DataSourceOptions } from 'typeorm'
import { Backgrounded, createWorker, withBackgrounded, type BackgroundedError } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'
import { until } from '../../support/worker-process'

let sent = 0

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static send(): void {
    sent++
  }
}

const stores = [
  { ...postgres, grantable: true },
  { ...mariaDb, grantable: true },
  { ...sqliteFile, grantable: false },
]

for (const store of stores) {
  describe(`A worker on ${store.name}`, function () {
    this.timeout(60_000)
    let dataSource: DataSource
    let drop: () => Promise<void>
    let said: { level: string; fields: object; message: string }[]

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      sent = 0
      said = []
      ;({ dataSource, drop } = await store.create([Letter]))
      await attach(dataSource)
    })
    afterEach(async () => {
      await drop()
    })

    async function attach(to: DataSource): Promise<void> {
      const line = (level: string) => (fields: object, message: string) => void said.push({ level, fields, message })
      const logger = { debug() {}, info: line('info'), warn: line('warn'), error: line('error') }
      await withBackgrounded(to, { handler: new DatabaseHandler({ lease: '1s' }), logger }).initialize()
    }

    async function endOf(worker: { run(): Promise<void> }): Promise<BackgroundedError> {
      return worker.run().then(
        () => expect.fail('the worker has ended without an error'),
        (error: BackgroundedError) => error,
      )
    }

    for (const column of ['progress', 'finished_at', 'suspect']) {
      it(`ends at its start if the column ${column} is missing, and names it`, async () => {
        for (const index of await indicesWith(dataSource, column)) await dropIndex(dataSource, index)
        await dataSource.query(`ALTER TABLE backgrounded_jobs DROP COLUMN ${column}`)
        const error = await endOf(createWorker(dataSource))
        expect(error).to.include({ code: 'OUTDATED_TABLE' })
        expect(error.message).to.include(column).and.to.include('typeorm-backgrounded schema --check')
        expect(said).to.deep.equal([])
      })
    }

    it('warns if an index is missing, and works', async () => {
      for (const index of await indicesWith(dataSource, 'suspect')) await dropIndex(dataSource, index)
      const worker = createWorker(dataSource)
      const finished = worker.run()
      await insert()
      await until(() => sent === 1 && said.some(({ message }) => message.includes('workers are slow without an index')))
      const [{ fields }] = said.filter(({ level }) => level === 'warn') as unknown as [
        { fields: { missing: string[] } },
      ]
      expect(fields.missing).to.have.length(1)
      expect(fields.missing[0]).to.match(/^backgrounded_jobs lacks an index on \(source, .*suspect, .*id\)$/)
      await worker.stop()
      await finished
    })

    it('waits for a table that is renamed away for a moment', async () => {
      const worker = createWorker(dataSource, { pollInterval: 50 })
      const finished = worker.run()
      await worker.ready
      await dataSource.query('ALTER TABLE backgrounded_jobs RENAME TO elsewhere')
      await until(() => said.filter(({ message }) => message === 'the job store cannot be reached').length >= 3)
      await dataSource.query('ALTER TABLE elsewhere RENAME TO backgrounded_jobs')
      await insert()
      await until(() => sent === 1)
      await worker.stop()
      await finished
    })

    if (store.grantable) {
      it('ends at its start if it may not write, and says what to grant', async () => {
        const reader = await readerOf(dataSource)
        await attach(reader)
        const error = await endOf(createWorker(reader))
        await reader.destroy()
        expect(error).to.include({ code: 'STORE_REFUSED' })
        expect(error.message).to.match(
          /denied.*backgrounded_workers.*SELECT, INSERT, UPDATE and DELETE on the job tables/,
        )
      })
    }

    const insert = () =>
      dataSource.query(
        "INSERT INTO backgrounded_jobs (id, entity, method, args) VALUES ('" +
          randomUUID() +
          "', 'Letter', 'send', '[]')",
      )
  })
}

async function indicesWith(dataSource: DataSource, column: string): Promise<string[]> {
  const runner = dataSource.createQueryRunner()
  const table = await runner.getTable('backgrounded_jobs')
  await runner.release()
  return (table?.indices ?? []).filter((index) => index.columnNames.includes(column)).map(({ name }) => name as string)
}

async function dropIndex(dataSource: DataSource, name: string): Promise<void> {
  const on = dataSource.options.type === 'mariadb' || dataSource.options.type === 'mysql' ? ' ON backgrounded_jobs' : ''
  await dataSource.query(`DROP INDEX ${dataSource.driver.escape(name)}${on}`)
}

/** Somebody who may look at the tables, and no more. */
async function readerOf(dataSource: DataSource): Promise<DataSource> {
  const username = `reader_${randomUUID().slice(0, 8)}`
  const isPostgres = dataSource.options.type === 'postgres'
  const statements = isPostgres
    ? [`CREATE ROLE ${username} LOGIN`, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${username}`]
    : [`CREATE USER ${username}@'%'`, `GRANT SELECT ON ${String(dataSource.options.database)}.* TO ${username}@'%'`]
  for (const statement of statements) await dataSource.query(statement)
  const reader = new DataSource({
    ...dataSource.options,
    username,
    password: '',
    entities: [Letter],
    subscribers: [],
    synchronize: false,
  } as DataSourceOptions)
  const destroy = reader.destroy.bind(reader)
  reader.destroy = async () => {
    await destroy()
    const end = isPostgres ? [`DROP OWNED BY ${username}`, `DROP ROLE ${username}`] : [`DROP USER ${username}@'%'`]
    for (const statement of end) await dataSource.query(statement)
  }
  return reader
}

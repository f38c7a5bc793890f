import { expect } from 'chai'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { withBackgrounded } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { run, type Ended } from '../support/command-line'
import { temporaryDirectory } from '../support/data-sources'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

const library = join(__dirname, '../../src')

for (const store of [postgres, mariaDb, sqliteFile]) {
  describe(`schema --check on ${store.name}`, function () {
    this.timeout(60_000)
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ;({ dataSource, drop } = await store.create([]))
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    })
    afterEach(async () => {
      await drop()
    })

    const check = () => run(['schema', '--check', '-d', dataSourceFile(dataSource.options)])

    it('says that the tables are as they should be', async () => {
      expect(await check()).to.include({ code: 0, stdout: FINE })
    })

    it('ignores other columns and indices', async () => {
      await dataSource.query('ALTER TABLE backgrounded_jobs ADD note integer')
      await dataSource.query('CREATE INDEX notes ON backgrounded_jobs (note)')
      expect(await check()).to.include({ code: 0, stdout: FINE })
    })

    it('names what is missing, and prints the SQL that adds it', async () => {
      const indices = await indicesOf(dataSource)
      for (const name of indices) {
        await dataSource.query(
          `DROP INDEX ${dataSource.driver.escape(name)}${store === mariaDb ? ' ON backgrounded_jobs' : ''}`,
        )
      }
      await dataSource.query('ALTER TABLE backgrounded_jobs DROP COLUMN progress')
      await dataSource.query('DROP TABLE backgrounded_pauses')
      const { code, stdout } = await check()
      expect(code, stdout).to.equal(1)
      expect(stdout).to.include('-- backgrounded_jobs lacks the column progress\n')
      expect(stdout).to.include('-- backgrounded_jobs lacks an index on (source, ')
      expect(stdout).to.include('-- the table backgrounded_pauses is missing\n')
      const statements = stdout.split(';\n').map((each) => each.replaceAll(/^--.*$/gm, '').trim())
      for (const statement of statements.filter(Boolean)) await dataSource.query(statement)
      expect(await check()).to.include({ code: 0, stdout: FINE })
    })
  })
}

describe('schema --check', function () {
  this.timeout(30_000)

  it('creates no SQLite file', async () => {
    const database = join(temporaryDirectory(), 'not-there.sqlite')
    const { code, stdout }: Ended = await run([
      'schema',
      '--check',
      '-d',
      dataSourceFile({ type: 'better-sqlite3', database }),
    ])
    expect(code).to.equal(1)
    expect(stdout).to.include('-- the table backgrounded_jobs is missing')
    expect(existsSync(database)).to.equal(false)
  })
})

const FINE = '-- The tables of typeorm-backgrounded are as this version needs them.\n'

async function indicesOf(dataSource: DataSource): Promise<string[]> {
  const runner = dataSource.createQueryRunner()
  const table = await runner.getTable('backgrounded_jobs')
  await runner.release()
  return (table?.indices ?? []).map(({ name }) => name as string)
}

function dataSourceFile(options: Partial<DataSourceOptions>): string {
  const file = join(temporaryDirectory(), 'data-source.js')
  writeFileSync(
    file,
    `
    const { DataSource } = require(${JSON.stringify(require.resolve('typeorm'))})
    const { withBackgrounded } = require(${JSON.stringify(library)})
    const { DatabaseHandler } = require(${JSON.stringify(join(library, 'handlers/database'))})
    exports.dataSource = withBackgrounded(new DataSource(${JSON.stringify({ ...options, entities: [] })}), {
      handler: new DatabaseHandler(),
    })
    `,
  )
  return file
}

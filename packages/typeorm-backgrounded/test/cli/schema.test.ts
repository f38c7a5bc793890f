import { expect } from 'chai'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type Sqlite from 'better-sqlite3'
import { createConnection } from 'mysql2/promise'
import {
  DataSource,
  DefaultNamingStrategy,
  EntitySchema,
  type DataSourceOptions,
  type NamingStrategyInterface,
} from 'typeorm'
import { Backgrounded, backgrounded, drain, withBackgrounded } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { run } from '../support/command-line'
import { temporaryDirectory, temporaryFile } from '../support/data-sources'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'
import { freePort } from '../support/free-port'
import { quiet } from '../handlers/bull/letter'

const library = join(__dirname, '../../src')

interface Program {
  readonly options: object
  /** Source text. */
  readonly handler?: string
  readonly plugin?: string
  readonly extra?: string
}

/** A program's own data source file, as its build would leave it: everything in it wants to change the database. */
function dataSourceFile({ options, handler = 'new DatabaseHandler()', plugin = '', extra = '' }: Program): string {
  const file = join(temporaryDirectory(), 'data-source.js')
  writeFileSync(
    file,
    `
    const { DataSource, DefaultNamingStrategy, EntitySchema } = require(${JSON.stringify(require.resolve('typeorm'))})
    const { withBackgrounded, NullHandler, SynchronousHandler } = require(${JSON.stringify(library)})
    const { DatabaseHandler } = require(${JSON.stringify(join(library, 'handlers/database'))})
    const { BullHandler } = require(${JSON.stringify(join(library, 'handlers/bull'))})
    const user = new EntitySchema({
      name: 'User',
      columns: { id: { type: Number, primary: true, generated: 'increment' }, name: { type: String } },
    })
    class Shouting extends DefaultNamingStrategy {
      columnName(property, name) { return 'THE_' + (name || property).toUpperCase() }
    }
    ${extra}
    const options = {
      ...${JSON.stringify(options)}, entities: [user], synchronize: true, dropSchema: true, migrationsRun: true,
      logging: true, cache: true,
    }
    if (options.entityPrefix) options.namingStrategy = new Shouting()
    exports.dataSource = withBackgrounded(new DataSource(options), { handler: ${handler}, ${plugin} })
    setInterval(() => {}, 1_000)
    `,
  )
  return file
}

async function schema(program: Program): Promise<string> {
  const { code, stdout, stderr } = await run(['schema', '-d', dataSourceFile(program)])
  expect(code, stderr).to.equal(0)
  return stdout
}

/** As the database's own command line client would. */
async function pipe(sql: string, options: DataSourceOptions): Promise<void> {
  if (options.type === 'better-sqlite3') {
    const Database = require('better-sqlite3') as typeof Sqlite
    const database = new Database(options.database)
    database.exec(sql)
    database.close()
  } else if (options.type === 'mariadb') {
    const { host, port, username: user, password, database } = options
    const connection = await createConnection({ host, port, user, password, database, multipleStatements: true })
    await connection.query(sql)
    await connection.end()
  } else {
    const dataSource = await new DataSource({ ...options, entities: [], synchronize: false }).initialize()
    await dataSource.query(sql)
    await dataSource.destroy()
  }
}

const ran: string[] = []

class Clock {
  @Backgrounded() static strike(times: number): void {
    ran.push(`${times} o'clock`)
  }
}
const clock = new EntitySchema({ name: 'Clock', target: Clock, columns: { id: { type: Number, primary: true } } })

class Shouting extends DefaultNamingStrategy implements NamingStrategyInterface {
  override columnName(property: string, name: string): string {
    return `THE_${(name || property).toUpperCase()}`
  }
}

describe('the schema command', function () {
  this.timeout(60_000)

  for (const store of [sqliteFile, postgres, mariaDb]) {
    describe(`for ${store.name}`, () => {
      let fresh: Awaited<ReturnType<TestStore['create']>>
      let options: DataSourceOptions

      before(function () {
        return store.require(this)
      })
      beforeEach(async () => {
        fresh = await store.create([])
        options = JSON.parse(JSON.stringify({ ...fresh.dataSource.options, entities: undefined })) as DataSourceOptions
      })
      afterEach(() => fresh.drop())

      const variants = { plain: {}, prefixed: { entityPrefix: 'app_', namingStrategy: new Shouting() } }
      for (const [name, { ...naming }] of Object.entries(variants)) {
        it(`prints only what a fresh database needs for jobs to run, ${name}`, async () => {
          const { entityPrefix = '' } = naming as { entityPrefix?: string }
          const sql = await schema({ options: { ...options, entityPrefix } })
          expect(sql)
            .to.include(`${entityPrefix}backgrounded_jobs`)
            .and.not.to.match(/user|outbox|typeorm_metadata/i)
          expect(sql.trimEnd().split('\n').slice(1)).to.satisfy((lines: string[]) =>
            lines.every((line) => line.endsWith(';')),
          )
          await pipe(sql, options)

          const entities = [clock]
          const dataSource = new DataSource({
            ...options,
            ...naming,
            synchronize: false,
            entities,
          } as DataSourceOptions)
          withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: quiet })
          await dataSource.initialize()
          try {
            const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
            const missing = upQueries.map(({ query }) => query).filter((query) => !/clock/.test(query))
            expect(missing, 'what synchronize would change').to.deep.equal([])
            ran.length = 0
            await backgrounded(Clock).strike(12)
            expect(await drain(dataSource)).to.include({ completed: 1 })
            expect(ran).to.deep.equal(["12 o'clock"])
          } finally {
            await dataSource.destroy()
          }
          expect(await schema({ options: { ...options, entityPrefix } }), 'whatever is there already').to.equal(sql)
        })
      }

      it('prints the table of the outbox for a handler outside of the database, without connecting to its store', async () => {
        const handler = `new BullHandler({ redis: 'redis://127.0.0.1:1' })`
        const sql = await schema({ options, handler })
        expect(sql).to.include('backgrounded_outbox').and.not.to.include('backgrounded_jobs')
        await pipe(sql, options)
        expect(await schema({ options, handler, plugin: 'outbox: false' })).to.equal(
          '-- The bull handler needs no tables.\n',
        )
      })

      it('writes nothing to the database', async () => {
        await pipe('CREATE TABLE precious (id integer)', options)
        await schema({ options })
        const dataSource = await new DataSource({ ...options, entities: [], synchronize: false }).initialize()
        const runner = dataSource.createQueryRunner()
        const names = [
          'precious',
          'user',
          'backgrounded_jobs',
          'backgrounded_pauses',
          'query-result-cache',
          'migrations',
        ]
        const found: string[] = []
        for (const name of names) if (await runner.hasTable(name)) found.push(name)
        await runner.release()
        await dataSource.destroy()
        expect(found).to.deep.equal(['precious'])
      })
    })
  }

  it("honours Postgres' schema", async function () {
    await postgres.require(this)
    const { dataSource, drop } = await postgres.create([])
    const { host, port, username, password, database } = dataSource.options as unknown as Record<string, unknown>
    const sql = await schema({
      options: { type: 'postgres', host, port, username, password, database, schema: 'work' },
    })
    expect(sql).to.include('CREATE TABLE "work"."backgrounded_jobs"').and.to.include('ON "work"."backgrounded_jobs"')
    const options = { ...dataSource.options, schema: 'work' } as DataSourceOptions
    await pipe(`CREATE SCHEMA work; ${sql}`, options)
    await drop()
  })

  it('creates no SQLite file', async () => {
    const database = temporaryFile()
    await schema({ options: { type: 'better-sqlite3', database } })
    expect(existsSync(database)).to.equal(false)
  })

  it("keeps the application's output apart from the SQL", async () => {
    const extra = `console.log('loading'); console.info('env'); require('module')`
    const file = dataSourceFile({ options: { type: 'better-sqlite3', database: ':memory:' }, extra })
    const first = join(temporaryDirectory(), 'first.js')
    writeFileSync(first, `console.log('first')`)
    const { stdout, stderr } = await run(['schema', '-d', file, '-r', first])
    expect(stdout).to.match(/^-- The tables of typeorm-backgrounded in a better-sqlite3 database/)
    expect(stdout).not.to.match(/loading|env|first/)
    expect(stderr).to.match(/first\n.*loading\n.*env/s)
  })

  it('says so if no table is needed', async () => {
    const options = { type: 'better-sqlite3', database: ':memory:' }
    expect(await schema({ options, handler: 'new NullHandler()', plugin: 'outbox: false' })).to.equal(
      '-- The null handler needs no tables.\n',
    )
  })

  it('says that the database cannot be reached', async () => {
    const port = await freePort()
    for (const type of ['postgres', 'mariadb']) {
      const file = dataSourceFile({ options: { type, host: 'localhost', port, database: 'app', username: 'app' } })
      const { code, stdout, stderr } = await run(['schema', '-d', file])
      expect(code).to.equal(1)
      expect(stdout).to.equal('')
      expect(stderr).to.match(
        /The database cannot be reached: .*ECONNREFUSED.*so start it, or configure the data source/,
      )
      expect(stderr).not.to.match(/\n\s+at /)
    }
  })

  it('refuses invalid flags and data sources, with the reason', async () => {
    const refused = async (args: string[], says: RegExp) => {
      const { code, stdout, stderr } = await run(['schema', ...args])
      expect([code, stdout]).to.deep.equal([1, ''])
      expect(stderr)
        .to.match(says)
        .and.not.to.match(/\n\s+at /)
    }
    await refused([], /required option '-d, --data-source <file>' not specified/)
    await refused(['-d', 'x.js', '--write'], /unknown option '--write'/)
    const bare = join(temporaryDirectory(), 'bare.js')
    const typeorm = JSON.stringify(require.resolve('typeorm'))
    writeFileSync(bare, `exports.it = new (require(${typeorm}).DataSource)({ type: 'better-sqlite3', database: 'x' })`)
    await refused(['-d', bare], /call withBackgrounded\(dataSource, \{ handler \}\) first/)
    const cockroach = dataSourceFile({ options: { type: 'cockroachdb', host: 'localhost' } })
    await refused(['-d', cockroach], /The plugin has tables for better-sqlite3, .* and this data source is cockroachdb/)
  })
})

import { expect } from 'chai'
import {
  Column,
  type DataSource,
  DataSource as FreshDataSource,
  DefaultNamingStrategy,
  Entity,
  PrimaryGeneratedColumn,
  type Table,
} from 'typeorm'
import { Backgrounded, backgrounded, createWorker, NullHandler, withBackgrounded, type Handler } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { silent } from '../../support/program'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../../support/stores'
import { until } from '../../support/worker-process'

const ran: string[] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string
  @Backgrounded() post(text: string): void {
    ran.push(text)
  }
}

class Spelled extends DefaultNamingStrategy {
  constructor(private readonly spell: (name: string) => string) {
    super()
  }

  override tableName(className: string, given: string | undefined): string {
    return this.spell(given ?? className)
  }

  override columnName(property: string, given: string | undefined, prefixes: string[]): string {
    return this.spell([...prefixes, given ?? property].join('_'))
  }
}

/** As many applications have it: an index says what it is on. */
class ListingColumns extends DefaultNamingStrategy {
  override indexName(table: Table | string, columns: string[], where?: string): string {
    const name = typeof table === 'string' ? table : table.name
    return `idx_${name}_${columns.join('_')}${where ? '_where_something_holds' : ''}`
  }
}

const snakeCase = new Spelled((name) => name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase())
const upperCase = new Spelled((name) => name.toUpperCase())
const TABLES = ['backgrounded_jobs', 'backgrounded_pauses', 'backgrounded_workers']
const JOB_COLUMNS = ['enqueued_at', 'finished_at', 'released_since', 'run_at']

interface Naming {
  readonly name: string
  readonly stores?: readonly TestStore[]
  readonly options: object
  readonly tables: readonly string[]
  readonly columns: readonly string[]
}

const namings: Naming[] = [
  {
    name: 'a prefix',
    options: { entityPrefix: 'app_' },
    tables: TABLES.map((table) => `app_${table}`),
    columns: JOB_COLUMNS,
  },
  {
    name: 'names in snake case',
    options: { namingStrategy: snakeCase },
    tables: TABLES,
    columns: JOB_COLUMNS,
  },
  {
    name: 'names in upper case',
    options: { namingStrategy: upperCase },
    tables: TABLES.map((table) => table.toUpperCase()),
    columns: JOB_COLUMNS.map((column) => column.toUpperCase()),
  },
  {
    name: 'names in upper case, and a prefix',
    options: { namingStrategy: upperCase, entityPrefix: 'App_' },
    tables: TABLES.map((table) => `App_${table.toUpperCase()}`),
    columns: JOB_COLUMNS.map((column) => column.toUpperCase()),
  },
  {
    name: 'names of indices that list their columns',
    options: { namingStrategy: new ListingColumns() },
    tables: TABLES,
    columns: JOB_COLUMNS,
  },
  {
    name: 'names of indices that list their columns, and a long prefix',
    options: { namingStrategy: new ListingColumns(), entityPrefix: 'a_department_of_my_company_' },
    tables: TABLES.map((table) => `a_department_of_my_company_${table}`),
    columns: JOB_COLUMNS,
  },
  {
    name: 'a schema that is not public',
    stores: [postgres],
    options: { schema: 'Office' },
    tables: TABLES,
    columns: JOB_COLUMNS,
  },
]

for (const store of [postgres, mariaDb, sqliteFile]) {
  describe(`the tables of jobs on ${store.name}`, function () {
    this.timeout(30_000)
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(() => {
      ran.length = 0
    })
    afterEach(() => drop())

    for (const { name, stores, options, tables, columns } of namings) {
      if (stores && !stores.includes(store)) continue

      it(`work if the application has ${name}, and do not change when it synchronizes again`, async () => {
        ;({ dataSource, drop } = await store.create([Letter], options))
        if ('schema' in options) await createSchema(dataSource)
        await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
        const expected = store === sqliteFile ? tables.filter((table) => !/workers/i.test(table)) : tables
        const layout = await layoutOf(dataSource)
        expect([...layout.keys()].sort()).to.deep.equal([...expected])
        expect(layout.get(tables[0]!)).to.include.members([...columns])
        for (let round = 0; round < 2; round++) {
          const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
          expect(upQueries.map(({ query }) => query)).to.deep.equal([])
          await dataSource.synchronize()
        }

        const letter = await dataSource.manager.save(new Letter())
        await backgrounded(letter).post('outside')
        await dataSource.transaction((manager) => backgrounded(letter, { manager }).post('inside'))
        await backgrounded(letter, { delay: '1h' }).post('later')
        const found = await dataSource.manager.find(BackgroundedJob, { where: { state: 'waiting' } })
        expect(found.map(({ method }) => method)).to.deep.equal(['post', 'post', 'post'])
        const worker = createWorker(dataSource)
        const finished = worker.run()
        await until(() => ran.length === 2)
        await worker.stop()
        await finished
        expect([...ran].sort()).to.deep.equal(['inside', 'outside'])
        expect(await dataSource.manager.count(BackgroundedJob)).to.equal(1)
      })
    }
  })
}

describe('the indices of the tables', function () {
  this.timeout(30_000)
  for (const [store, longest] of [
    [postgres, 63],
    [mariaDb, 64],
  ] as const) {
    it(`have names that ${store.name} accepts, which differ from the strategy's only if those are too long`, async function () {
      await store.require(this)
      const strategy = new ListingColumns()
      const { dataSource, drop } = await store.create([Letter], { namingStrategy: strategy })
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
      const { indices } = dataSource.getMetadata(BackgroundedJob)
      const names = indices.map(({ name }) => name)
      for (const [position, { columns, where, name }] of indices.entries()) {
        const expected = strategy.indexName(
          'backgrounded_jobs',
          columns.map(({ databaseName }) => databaseName),
          where,
        )
        expect(names[position]).to.have.length.of.at.most(longest)
        if (expected.length <= longest) expect(name).to.equal(expected)
        else expect(name).to.match(/^idx_backgrounded_jobs_.*_[0-9a-f]{8}$/)
      }
      expect(new Set(names).size).to.equal(names.length)
      await drop()
    })

    it(`of the outbox too on ${store.name}`, async function () {
      await store.require(this)
      const options = { namingStrategy: new ListingColumns(), entityPrefix: 'a_department_of_my_company_' }
      const { dataSource, drop } = await store.create([Letter], options)
      const outside: Handler = {
        name: 'outside',
        capabilities: { ...new NullHandler().capabilities, inProcess: false },
        enqueue: (jobs) => Promise.resolve(jobs.map(() => ({ state: 'enqueued' }))),
      }
      await withBackgrounded(dataSource, { handler: outside, logger: silent }).initialize()
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
      expect(upQueries.map(({ query }) => query)).to.deep.equal([])
      await dataSource.transaction(async (manager) => {
        await backgrounded(await manager.save(new Letter())).post('x')
      })
      await drop()
    })
  }
})

async function createSchema({ options }: DataSource): Promise<void> {
  const dataSource = await new FreshDataSource({ ...options, entities: [], synchronize: false }).initialize()
  await dataSource.query(`CREATE SCHEMA "${(options as { schema: string }).schema}"`)
  await dataSource.destroy()
}

/** The plugin's tables and their columns, as the database has them. */
async function layoutOf(dataSource: DataSource): Promise<Map<string, string[]>> {
  const { type, schema = 'public' } = dataSource.options as { type: string; schema?: string }
  const sqlite =
    "SELECT m.name AS tab, c.name AS col FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
  const place = type === 'postgres' ? `'${schema}'` : 'database()'
  const server = `SELECT table_name AS tab, column_name AS col FROM information_schema.columns WHERE table_schema = ${place}`
  const rows = await dataSource.query<{ tab: string; col: string }[]>(type === 'better-sqlite3' ? sqlite : server)
  const layout = new Map<string, string[]>()
  for (const { tab, col } of rows) {
    if (/backgrounded/i.test(tab)) layout.set(tab, [...(layout.get(tab) ?? []), col])
  }
  return layout
}

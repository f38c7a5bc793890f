import { expect } from 'chai'
import { Client } from 'pg'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import type { DataSource } from 'typeorm'
import { mariaDbStatements } from '../../../src/handlers/database/mariadb/statements'
import { SESSION } from '../../../src/handlers/database/postgres/connection'
import { postgresStatements } from '../../../src/handlers/database/postgres/statements'
import { entitiesOf, jobTables } from '../../../src/handlers/database/tables'
import { mariaDb, postgres } from '../../support/stores'

/** So many that a planner may think of reading them all for a few. */
const SOME = 50_000
const MILLION = Number(process.env.PLAN_ROWS ?? 1_000_000)
const WORKER = '00000000-0000-7000-8000-00000000000a'
const SLOTS = 50

/** Blocks or rows that a statement may look at, for 50 jobs among millions. */
const FEW = 2_000

describe('What a worker asks of a table with many jobs', () => {
  describe('on Postgres', () => onPostgres(MILLION, MILLION))
  describe(`on Postgres, with ${SOME} that are all due`, () => onPostgres(SOME, 0))

  describe('on MariaDB', function () {
    this.timeout(180_000)
    let connection: Connection
    let dataSource: DataSource
    let drop: () => Promise<void>
    let sql: ReturnType<typeof mariaDbStatements>

    before(async function () {
      await mariaDb.require(this)
      ;({ dataSource, drop } = await mariaDb.create(entitiesOf('mariadb')))
      await dataSource.initialize()
      sql = mariaDbStatements(jobTables('mariadb', dataSource))
      const { host, port, username, password, database } = dataSource.options as unknown as Record<string, never>
      connection = await createConnection({ host, port, user: username, password, database })
      await fill(0, MILLION, `0, ${NOW}, 'waiting', NULL`)
      await fill(1, MILLION, `-5, ${NOW} + 3600000, 'waiting', NULL`)
      await fill(2, MILLION / 10, `0, ${NOW}, 'failed', ${NOW}`)
    })

    after(async () => {
      await connection?.end()
      await drop?.()
    })

    const NOW = 'UNIX_TIMESTAMP() * 1000'

    async function fill(kind: number, rows: number, rest: string): Promise<void> {
      await connection.query(
        `INSERT INTO backgrounded_jobs (id, entity, \`key\`, method, priority, run_at, state, finished_at) ` +
          `SELECT CONCAT(LPAD(HEX(seq), 8, '0'), '-0000-7000-800${kind}-000000000000'), 'User', '{"id":1}', 'post', ${rest} ` +
          `FROM seq_1_to_${rows}`,
      )
    }

    async function rowsRead(text: string, values: readonly unknown[]): Promise<number> {
      await connection.query('FLUSH STATUS')
      await connection.query('BEGIN')
      await connection.query(text, [...values])
      await connection.query('ROLLBACK')
      const [counts] = await connection.query<RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'")
      return counts.reduce((sum, { Value }) => sum + Number(Value), 0)
    }

    const ids = Array.from(
      { length: SLOTS },
      (_, n) => `${(n + 1).toString(16).toUpperCase().padStart(8, '0')}-0000-7000-8000-000000000000`,
    )

    const statements: [string, () => [string, unknown[]]][] = [
      ['the first level', () => [sql.nextLevel, ['default', -1, -1, '', -1, '', 0]]],
      ['the next level', () => [sql.nextLevel, ['default', 0, 0, 'default', 0, 'default', -5]]],
      ['a look for due jobs', () => [sql.due, ['default', 0, 'default', 0, 0, 0, '', SLOTS]]],
      ['a claim', () => [sql.claim(SLOTS), [WORKER, 1, ...ids]]],
      ['an acknowledgement', () => [sql.remove(SLOTS), [WORKER, ...ids.flatMap((id) => [id, 1])]]],
      ['the search for jobs of dead workers', () => [sql.orphans, ['default']]],
      ['what a worker holds', () => [sql.held, ['default', WORKER]]],
      ['the pruning of completed jobs', () => [sql.prune, [1_000_000, 'default']]],
    ]

    for (const [name, statement] of statements) {
      it(`${name} reads few rows`, async () => {
        expect(await rowsRead(...statement())).to.be.lessThan(FEW)
      })
    }
  })
})

function literal(value: unknown): string {
  if (value === null) return 'NULL'
  if (Array.isArray(value)) return `'{${value.map((each) => JSON.stringify(each)).join(',')}}'`
  return typeof value === 'number' ? String(value) : `'${String(value)}'`
}

function blocksOf(line: string): number {
  const { hit = 0, read = 0 } = /shared(?: hit=(?<hit>\d+))?(?: read=(?<read>\d+))?/.exec(line)?.groups ?? {}
  return Number(hit) + Number(read)
}

/** On a table of `due` jobs, `later` ones that are urgent and not due yet, and a tenth as many that failed. */
function onPostgres(due: number, later: number): void {
  let client: Client
  let dataSource: DataSource
  let drop: () => Promise<void>
  let sql: ReturnType<typeof postgresStatements>

  before(async function () {
    this.timeout(180_000)
    await postgres.require(this)
    ;({ dataSource, drop } = await postgres.create(entitiesOf('postgres')))
    await dataSource.initialize()
    sql = postgresStatements(jobTables('postgres', dataSource))
    const { host, port, username, password, database } = dataSource.options as unknown as Record<string, never>
    client = new Client({ host, port, user: username, password, database })
    await client.connect()
    await fill(0, due, `0, ${NOW}, 'waiting', NULL`)
    await fill(1, later, `-5, ${NOW} + 3600000, 'waiting', NULL`)
    await fill(2, later / 10, `0, ${NOW}, 'failed', ${NOW}`)
    await client.query('ANALYZE backgrounded_jobs')
    await client.query(SESSION)
  })

  after(async () => {
    await client?.end()
    await drop?.()
  })

  const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

  async function fill(kind: number, rows: number, rest: string): Promise<void> {
    await client.query(
      `INSERT INTO backgrounded_jobs (id, entity, key, method, priority, run_at, state, finished_at) ` +
        `SELECT (lpad(to_hex(number), 8, '0') || '-0000-7000-800${kind}-000000000000')::uuid, 'User', '{"id":1}', 'post', ${rest} ` +
        `FROM generate_series(1, ${rows}) number`,
    )
  }

  /** As the worker runs it: prepared, with a plan for any values. */
  async function plan(text: string, values: readonly unknown[]): Promise<{ lines: string; blocks: number }> {
    await client.query('BEGIN')
    const types = values.map(() => 'unknown').join(', ')
    await client.query(`PREPARE subject (${types}) AS ${text}`)
    const literals = values.map(literal).join(', ')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off) EXECUTE subject (${literals})`,
    )
    await client.query('ROLLBACK')
    await client.query('DEALLOCATE subject')
    const lines = rows.map((row) => row['QUERY PLAN'])
    const before = lines.slice(0, lines.indexOf('Planning:') < 0 ? undefined : lines.indexOf('Planning:'))
    const blocks = Math.max(0, ...before.map((line) => blocksOf(line)))
    return { lines: before.join('\n'), blocks }
  }

  const exchange = ['default', null, WORKER, 1, SLOTS, [], []]
  const mark = [[0], ['default'], [0], [0], ['00000000-0000-0000-0000-000000000000']]

  const inOne = ['default', 'default', ...exchange.slice(2), 0, 0, '00000000-0000-0000-0000-000000000000']

  const statements: [string, () => [string, unknown[]]][] = [
    ['a claim', () => [sql.exchangeAnew.alone, exchange]],
    ['a claim from marks on', () => [sql.exchangeOnwards.alone, [...exchange, ...mark]]],
    ['a claim from the mark of one level on', () => [sql.exchangeInOne.alone, inOne]],
    ['a claim whose rows are read along', () => [sql.exchangeInOne.toRead, [...inOne, 'User']]],
    ['a claim of one queue', () => [sql.exchangeAnew.alone, ['default', ['default'], ...exchange.slice(2)]]],
    ['the reaping of dead workers', () => [sql.reap, [WORKER, 1, 20_000, 'default']]],
    ['what a worker holds', () => [sql.held, ['default', WORKER]]],
    ['the pruning of completed jobs', () => [sql.prune, ['default', 1000]]],
  ]

  for (const [name, statement] of statements) {
    it(`${name} looks at few blocks, by its index`, async () => {
      const { lines, blocks } = await plan(...statement())
      expect(lines).not.to.match(/Seq Scan on backgrounded_jobs|Merge Join/)
      expect(blocks, lines).to.be.lessThan(FEW)
    })
  }

  it('an acknowledgement finds its jobs by the primary key', async () => {
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM backgrounded_jobs ORDER BY id LIMIT ${SLOTS}`)
    const ids = rows.map(({ id }) => id)
    const { lines, blocks } = await plan(sql.exchangeAnew.alone, [...exchange.slice(0, 5), ids, ids.map(() => 1)])
    expect(lines).to.match(/Index Scan using "?PK_/)
    expect(blocks, lines).to.be.lessThan(FEW)
  })
}

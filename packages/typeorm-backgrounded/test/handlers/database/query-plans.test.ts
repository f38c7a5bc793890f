import { expect } from 'chai'
import { Client } from 'pg'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import type { DataSource } from 'typeorm'
import { mariaDbStatements } from '../../../src/handlers/database/mariadb/statements'
import { SESSION } from '../../../src/database/postgres/connection'
import { postgresStatements } from '../../../src/handlers/database/postgres/statements'
import { inspectionStatements } from '../../../src/handlers/database/inspection-statements'
import { statements as outboxStatements } from '../../../src/outbox/mariadb-outbox'
import { BackgroundedOutboxRow, OUTBOX_TABLES } from '../../../src/outbox/outbox-table'
import { tableNames } from '../../../src/database/table-names'
import { entitiesOf, jobTables } from '../../../src/handlers/database/tables'
import { mariaDb, postgres } from '../../support/stores'

/** So many that a planner may think of reading them all for a few. */
const SOME = 50_000
const MILLION = Number(process.env.PLAN_ROWS ?? 1_000_000)
const WORKER = '00000000-0000-7000-8000-00000000000a'
const SLOTS = 50

/** Blocks or rows that a statement may look at, for 50 jobs among millions. */
const FEW = 2_000

describe("A worker's statements on a table with many jobs", () => {
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
      ['the first lane', () => [sql.nextLane, ['default', -1, -1, '', -1, '', 0]]],
      ['the next lane', () => [sql.nextLane, ['default', 0, 0, 'default', 0, 'default', -5]]],
      ['a look for due jobs', () => [sql.due, ['default', 0, 'default', 0, 0, 0, '', SLOTS]]],
      ['a claim', () => [sql.claim(SLOTS), [WORKER, 1, ...ids]]],
      ['an acknowledgement', () => [sql.remove(SLOTS), [WORKER, ...ids.flatMap((id) => [id, 1])]]],
      ['the search for jobs of dead workers', () => [sql.orphans, ['default']]],
      ['their takeover', () => [sql.lockOrphans(SLOTS), [...ids, 'default']]],
      ['what a worker holds', () => [sql.held, ['default', WORKER]]],
      ['the search for completed jobs', () => [sql.prunable, [1_000_000, 'default']]],
      ['the pruning of completed jobs', () => [sql.prune(SLOTS), ids]],
    ]

    for (const [name, statement] of statements) {
      it(`${name} reads few rows`, async () => {
        expect(await rowsRead(...statement())).to.be.lessThan(FEW)
      })
    }
  })
})

/** One that scans the table waits for every row that an open transaction has inserted. */
describe('A statement on MariaDB that changes or locks jobs finds them by the primary key', function () {
  this.timeout(60_000)
  let connection: Connection
  let dataSource: DataSource
  let drop: () => Promise<void>

  before(async function () {
    await mariaDb.require(this)
    ;({ dataSource, drop } = await mariaDb.create([...entitiesOf('mariadb'), OUTBOX_TABLES.mariadb]))
    await dataSource.initialize()
    const { host, port, username, password, database } = dataSource.options as unknown as Record<string, never>
    connection = await createConnection({ host, port, user: username, password, database })
  })

  after(async () => {
    await connection?.end()
    await drop?.()
  })

  const id = (number: number) => `${String(number).padStart(8, '0')}-0000-7000-8000-000000000000`

  async function fill(rows: number): Promise<void> {
    const numbers = `CONCAT(LPAD(seq - 1, 8, '0'), '-0000-7000-8000-000000000000') AS id FROM seq_1_to_${rows}`
    for (const table of ['jobs', 'workers', 'outbox', 'pauses'])
      await connection.query(`TRUNCATE backgrounded_${table}`)
    if (rows === 0) return
    await connection.query(
      `INSERT INTO backgrounded_jobs (id, entity, method, state, worker, lease, finished_at)
       SELECT id, 'User', 'post', 'running', '${WORKER}', 1, 1 FROM (SELECT ${numbers}) numbered`,
    )
    await connection.query(
      `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) SELECT id, 'default', '{}', 0, 0 FROM (SELECT ${numbers}) numbered`,
    )
    await connection.query(`INSERT INTO backgrounded_pauses SELECT 'default', id FROM (SELECT ${numbers}) numbered`)
    await connection.query(
      `INSERT INTO backgrounded_workers SELECT id, 'default', 'w', 0, 0, 0 FROM (SELECT ${numbers}) numbered`,
    )
  }

  /** Of a statement, with as many values as it takes: those of rows that are there, where it names one. */
  function statements(count: number): Record<string, [sql: string, values: unknown[]]> {
    const tables = jobTables('mariadb', dataSource)
    const sql = mariaDbStatements(tables)
    const inspection = inspectionStatements(tables, '0')
    const outbox = outboxStatements(tableNames(dataSource, BackgroundedOutboxRow))
    const ids = Array.from({ length: count }, (_, number) => id(number))
    const fences = [WORKER, ...ids.flatMap((each) => [each, 1])]
    const outcome = ['waiting', null, 0, 0, null, 0, false]
    return {
      claim: [sql.claim(count), [WORKER, 1, ...ids]],
      remove: [sql.remove(count), fences],
      applyOutcomes: [sql.applyOutcomes(count), [...outcome, ...fences]],
      lockHeld: [sql.lockHeld(count), fences],
      progress: [sql.progress, ['1', WORKER, id(0), 1]],
      lockOrphans: [sql.lockOrphans(count), [...ids, 'default']],
      takeOver: [sql.takeOver(count), [WORKER, 1, ...ids]],
      prune: [sql.prune(count), ids],
      beat: [sql.beat, [1, id(0)]],
      leave: [sql.leave, [id(0)]],
      lockGone: [sql.lockGone(count), [...ids, 1, 1, 1]],
      removeGone: [sql.removeGone(count), [...ids, 'default']],
      'outbox.findThese': [outbox.findThese(count), ids],
      'outbox.lease': [outbox.lease(count), [1, ...ids]],
      'outbox.remove': [outbox.remove(count), [...ids, 'default']],
      ...Object.fromEntries(
        Object.entries({
          retry: inspection.retry(ids, 'default'),
          discard: inspection.discard(ids, 'default'),
          'prune by hand': inspection.remove(ids, 'default', 'completed', 0, 1),
          resume: inspection.resume('default', id(0)),
        }).map(([name, statement]) => [name, [statement.sql, [...statement.values]] as [string, unknown[]]]),
      ),
    }
  }

  for (const rows of [0, 1, 3, 20, 200, 20_000]) {
    it(`in a table of ${rows} rows`, async () => {
      await fill(rows)
      for (const count of [1, 2, 5, 50, 500]) {
        for (const [name, [text, values]] of Object.entries(statements(count))) {
          const [plan] = await connection.query<RowDataPacket[]>(`EXPLAIN ${text}`, values)
          const [first] = plan
          // Without a table: it knows already that there is no such row.
          const found = first?.table === null ? 'const PRIMARY' : `${first?.type} ${first?.key}`
          expect(found, `${name} of ${count}`).to.match(/^(const|eq_ref|range) PRIMARY$/)
        }
      }
    })
  }
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

  const claim = ['default', null, WORKER, 1, SLOTS, [], []]
  const cursors = [[0], ['default'], [0], [0], ['00000000-0000-0000-0000-000000000000']]

  const fromOne = ['default', 'default', ...claim.slice(2), 0, 0, '00000000-0000-0000-0000-000000000000']

  const statements: [string, () => [string, unknown[]]][] = [
    ['a claim', () => [sql.claimFromAllLanes.alone, claim]],
    ['a claim from cursors', () => [sql.claimFromCursors.alone, [...claim, ...cursors]]],
    ['a claim from the cursor of one lane', () => [sql.claimFromCursor.alone, fromOne]],
    ['a claim whose rows are prefetched', () => [sql.claimFromCursor.withKeys, [...fromOne, 'User']]],
    ['a claim of one queue', () => [sql.claimFromAllLanes.alone, ['default', ['default'], ...claim.slice(2)]]],
    ['the reaping of dead workers', () => [sql.reap, [WORKER, 1, 20_000, 'default', 7_500]]],
    ['what a worker holds', () => [sql.held, ['default', WORKER]]],
    ['the pruning of completed jobs', () => [sql.prune, ['default', 1000]]],
  ]

  for (const [name, statement] of statements) {
    it(`${name} reads few blocks, by its index`, async () => {
      const { lines, blocks } = await plan(...statement())
      expect(lines).not.to.match(/Seq Scan on backgrounded_jobs|Merge Join/)
      expect(blocks, lines).to.be.lessThan(FEW)
    })
  }

  it('an acknowledgement finds its jobs by the primary key', async () => {
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM backgrounded_jobs ORDER BY id LIMIT ${SLOTS}`)
    const ids = rows.map(({ id }) => id)
    const { lines, blocks } = await plan(sql.claimFromAllLanes.alone, [...claim.slice(0, 5), ids, ids.map(() => 1)])
    expect(lines).to.match(/Index Scan using "?PK_/)
    expect(blocks, lines).to.be.lessThan(FEW)
  })
}

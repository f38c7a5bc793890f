import { randomUUID } from 'node:crypto'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { requireService } from './require-service'

type Entities = NonNullable<DataSourceOptions['entities']>

const host = process.env.MYSQL_HOST ?? '127.0.0.1'
const port = Number(process.env.MYSQL_PORT ?? 3306)
const username = process.env.MYSQL_USER ?? 'root'
const password = process.env.MYSQL_PASSWORD ?? ''

/** A private database on the local MariaDB; `drop` it in the end. */
export async function createMariaDb(
  entities: Entities,
  options: { poolSize?: number } = {},
): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
  const database = `backgrounded_${randomUUID().replaceAll('-', '')}`
  await administer(`CREATE DATABASE ${database}`)
  const dataSource = new DataSource({
    type: 'mariadb',
    host,
    port,
    username,
    password,
    database,
    entities,
    synchronize: true,
    ...options,
  })
  const drop = async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
    await dropDatabase(database)
  }
  return { dataSource, drop }
}

/** Runs one statement outside of any test's database. */
export async function administer(sql: string): Promise<void> {
  await connected(async (connection) => {
    await connection.query(sql)
  })
}

export async function requireMariaDb(context: Mocha.Context): Promise<void> {
  await requireService(context, `MariaDB on ${host}:${port}`, () => administer('SELECT 1'))
}

/** What Postgres does WITH (FORCE): a transaction that somebody left open would hold the drop up for a day. */
async function dropDatabase(database: string): Promise<void> {
  await connected(async (connection) => {
    const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?'
    const [others] = await connection.query<RowDataPacket[]>(sql, [database])
    for (const { id } of others) await connection.query('KILL ?', [id]).catch(ignoreGone)
    await connection.query(`DROP DATABASE ${database}`)
  })
}

function ignoreGone(error: Error & { code?: string }): void {
  if (error.code !== 'ER_NO_SUCH_THREAD') throw error
}

async function connected(work: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await createConnection({ host, port, user: username, password })
  try {
    await work(connection)
  } finally {
    await connection.end()
  }
}

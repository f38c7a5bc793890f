import { randomUUID } from 'node:crypto'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { requireService } from './require-service'

type Entities = NonNullable<DataSourceOptions['entities']>
type MariaDbOptions = Extract<DataSourceOptions, { type: 'mysql' | 'mariadb' }>

/** `mysql` for a MySQL server. */
const type = process.env.MYSQL_TYPE === 'mysql' ? 'mysql' : 'mariadb'

/** Where a MariaDB listens, and who asks. */
export interface MariaDbAddress {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password?: string
}

const local = {
  host: process.env.MYSQL_HOST ?? '127.0.0.1',
  port: Number(process.env.MYSQL_PORT ?? 3306),
  username: process.env.MYSQL_USER ?? 'root',
  password: process.env.MYSQL_PASSWORD ?? '',
}

/** A private database on the local MariaDB, or on that of a test; `drop` it in the end. */
export async function createMariaDb(
  entities: Entities,
  options: Partial<MariaDbOptions> = {},
  address: MariaDbAddress = local,
): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
  const database = `backgrounded_${randomUUID().replaceAll('-', '')}`
  await administer(`CREATE DATABASE ${database}`, address)
  const dataSource = new DataSource({
    type,
    ...address,
    database,
    entities,
    synchronize: true,
    ...options,
  } as MariaDbOptions)
  const drop = async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
    await connected(address, (connection) => dropDatabase(connection, database))
  }
  return { dataSource, drop }
}

/** Runs one statement outside of any test's database. */
export async function administer(sql: string, address: MariaDbAddress = local): Promise<void> {
  await connected(address, async (connection) => {
    await connection.query(sql)
  })
}

export async function requireMariaDb(context: Mocha.Context): Promise<void> {
  await requireService(context, `MariaDB on ${local.host}:${local.port}`, () => administer('SELECT 1'))
}

/** What Postgres does WITH (FORCE): a transaction that somebody left open would hold the drop up for a day. */
async function dropDatabase(connection: Connection, database: string): Promise<void> {
  const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?'
  const [others] = await connection.query<RowDataPacket[]>(sql, [database])
  for (const { id } of others) await connection.query('KILL ?', [id]).catch(ignoreGone)
  await connection.query(`DROP DATABASE ${database}`)
}

function ignoreGone(error: Error & { code?: string }): void {
  if (error.code !== 'ER_NO_SUCH_THREAD') throw error
}

async function connected(
  { username, ...address }: MariaDbAddress,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connection = await createConnection({ ...address, user: username })
  try {
    await work(connection)
  } finally {
    await connection.end()
  }
}

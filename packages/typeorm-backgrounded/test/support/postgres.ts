import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { DataSource, type DataSourceOptions, type QueryRunner } from 'typeorm'
import { requireService } from './require-service'

type Entities = NonNullable<DataSourceOptions['entities']>
type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>

/** Where a Postgres listens, and who asks. */
export interface PostgresAddress {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password?: string
}

const local = {
  host: process.env.PGHOST ?? '127.0.0.1',
  port: Number(process.env.PGPORT ?? 5432),
  username: process.env.PGUSER ?? 'postgres',
  password: process.env.PGPASSWORD ?? 'postgres',
}

/** A private database on the local Postgres, or on that of a test; `drop` it in the end. */
export async function createPostgres(
  entities: Entities,
  options: Partial<PostgresOptions> = {},
  address: PostgresAddress = local,
): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
  const database = `backgrounded_${randomUUID().replaceAll('-', '')}`
  await administer(`CREATE DATABASE ${database}`, address)
  const dataSource = new DataSource({
    type: 'postgres',
    ...address,
    database,
    entities,
    synchronize: true,
    ...options,
  })
  const drop = async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
    await administer(`DROP DATABASE ${database} WITH (FORCE)`, address)
  }
  return { dataSource, drop }
}

/** Runs one statement outside of any test's database. */
export async function administer(sql: string, { username, ...address }: PostgresAddress = local): Promise<void> {
  const client = new Client({ ...address, user: username, database: 'postgres' })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

export async function requirePostgres(context: Mocha.Context): Promise<void> {
  await requireService(context, `Postgres on ${local.host}:${local.port}`, () => administer('SELECT 1'))
}

/** Does `work` when the next bare statement of a runner's connection, as its COMMIT is one, is on its way. */
export async function whenSent(runner: QueryRunner, work: () => void): Promise<void> {
  const { connection } = (await runner.connect()) as { connection: { query: (text: string) => void } }
  const { query } = connection
  connection.query = (text) => {
    connection.query = query
    connection.query(text)
    work()
  }
}

import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { requireService } from './require-service'

type Entities = NonNullable<DataSourceOptions['entities']>

const host = process.env.PGHOST ?? '127.0.0.1'
const port = Number(process.env.PGPORT ?? 5432)
const username = process.env.PGUSER ?? 'postgres'
const password = process.env.PGPASSWORD ?? 'postgres'

/** A private database on the local Postgres; `drop` it in the end. */
export async function createPostgres(
  entities: Entities,
  options: { poolSize?: number } = {},
): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
  const database = `backgrounded_${randomUUID().replaceAll('-', '')}`
  await administer(`CREATE DATABASE ${database}`)
  const dataSource = new DataSource({
    type: 'postgres',
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
    await administer(`DROP DATABASE ${database} WITH (FORCE)`)
  }
  return { dataSource, drop }
}

/** Runs one statement outside of any test's database. */
export async function administer(sql: string): Promise<void> {
  const client = new Client({ host, port, user: username, password, database: 'postgres' })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

export async function requirePostgres(context: Mocha.Context): Promise<void> {
  await requireService(context, `Postgres on ${host}:${port}`, () => administer('SELECT 1'))
}

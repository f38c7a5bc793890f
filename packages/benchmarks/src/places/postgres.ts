import { Client } from 'pg'
import type { ServerPlace } from './place'

const SERVER = {
  host: process.env.PGHOST ?? '127.0.0.1',
  port: Number(process.env.PGPORT ?? 5432),
  user: process.env.PGUSER ?? 'postgres',
  password: process.env.PGPASSWORD ?? 'postgres',
}

export async function createPostgres(database: string): Promise<ServerPlace> {
  await query('postgres', `CREATE DATABASE ${database}`)
  return { ...SERVER, database }
}

export async function dropPostgres({ database }: ServerPlace): Promise<void> {
  await query('postgres', `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
}

/** What autovacuum would do some time after a large fill. */
export async function vacuum({ database }: ServerPlace): Promise<void> {
  await query(database, 'VACUUM ANALYZE')
}

export async function postgresVersion(): Promise<string> {
  const [row] = await query<{ server_version: string }>('postgres', 'SHOW server_version')
  return row?.server_version.split(' ')[0] ?? 'unknown'
}

/** Timed checkpoints start counting again after it. */
export async function checkpoint({ database }: ServerPlace): Promise<void> {
  await query(database, 'CHECKPOINT')
}

/** Bytes that the server has written to its write-ahead log since it was made. */
export async function writtenAhead({ database }: ServerPlace): Promise<number> {
  const [row] = await query<{ bytes: string }>(
    database,
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS bytes",
  )
  return Number(row?.bytes)
}

/** Holds the MVCC horizon of the database until the returned function is called. */
export async function holdSnapshot({ database }: ServerPlace): Promise<() => Promise<void>> {
  const client = new Client({ ...SERVER, database })
  await client.connect()
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await client.query('SELECT count(*) FROM pg_class')
  return () => client.end()
}

async function query<Row>(database: string, sql: string): Promise<Row[]> {
  const client = new Client({ ...SERVER, database })
  await client.connect()
  try {
    return (await client.query(sql)).rows as Row[]
  } finally {
    await client.end()
  }
}

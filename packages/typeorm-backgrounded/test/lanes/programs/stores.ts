import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { DataSource, type DataSourceOptions } from 'typeorm'

/** Where rows and jobs are kept: all that another process has to know. */
export type Store = { connection: object; isNew?: boolean } & (
  | { handler: 'database'; listen?: boolean }
  | { handler: 'bull'; redis: string; prefix: string }
  | { handler: 'synchronous' }
)

export interface CreatedStore {
  store: Store
  drop(): Promise<void>
}

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGBOUNCER_PORT, REDIS_URL } = process.env
const { MYSQL_TYPE, MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD } = process.env

const postgresServer = {
  type: 'postgres',
  host: PGHOST ?? '127.0.0.1',
  port: Number(PGPORT ?? 5432),
  username: PGUSER ?? 'postgres',
  password: PGPASSWORD ?? 'postgres',
}

const mariaDbServer = {
  type: MYSQL_TYPE ?? 'mariadb',
  host: MYSQL_HOST ?? '127.0.0.1',
  port: Number(MYSQL_PORT ?? 3306),
  username: MYSQL_USER ?? 'root',
  password: MYSQL_PASSWORD ?? '',
}

const database = `backgrounded_lane_${randomUUID().replaceAll('-', '')}`

export const creators: Record<string, (directory: string) => Promise<CreatedStore>> = {
  'better-sqlite3': async (directory) => {
    const connection = { type: 'better-sqlite3', database: join(directory, 'smoke.sqlite') }
    return { store: { connection, handler: 'database' }, drop: async () => {} }
  },
  sqlite3: async (directory) => {
    const connection = { type: 'sqlite', database: join(directory, 'smoke.sqlite') }
    return { store: { connection, handler: 'synchronous' }, drop: async () => {} }
  },
  postgres: async () => {
    const { connection, drop } = await createPostgres()
    return { store: { connection, handler: 'database' }, drop }
  },
  mariadb: async () => {
    await administer(mariaDbServer, `CREATE DATABASE ${database}`)
    const connection = { ...mariaDbServer, database }
    return {
      store: { connection, handler: 'database' },
      drop: () => administer(mariaDbServer, `DROP DATABASE ${database}`),
    }
  },
  bull: async () => {
    const { connection, drop } = await createPostgres()
    const redis = REDIS_URL ?? 'redis://127.0.0.1:6379'
    const prefix = database
    return {
      store: { connection, handler: 'bull', redis, prefix },
      drop: async () => {
        await drop()
        await removeKeys(redis, prefix)
      },
    }
  },
  pgbouncer: () => createBehindPgBouncer(false),
  'pgbouncer-discard-all': () => createBehindPgBouncer(false),
  'pgbouncer-with-listen': () => createBehindPgBouncer(true),
}

async function createPostgres() {
  await administer({ ...postgresServer, database: 'postgres' }, `CREATE DATABASE ${database}`)
  return {
    connection: { ...postgresServer, database },
    drop: () => administer({ ...postgresServer, database: 'postgres' }, `DROP DATABASE ${database} WITH (FORCE)`),
  }
}

async function createBehindPgBouncer(listen: boolean): Promise<CreatedStore> {
  const { connection, drop } = await createPostgres()
  const pooled = { ...connection, host: '127.0.0.1', port: Number(PGBOUNCER_PORT) }
  return { store: { connection: pooled, handler: 'database', listen }, drop }
}

async function administer(options: object, sql: string): Promise<void> {
  const dataSource = await new DataSource(options as DataSourceOptions).initialize()
  await dataSource.query(sql)
  await dataSource.destroy()
}

async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if (keys.length > 0) await redis.unlink(...(keys as string[]))
  }
  redis.disconnect()
}

import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import Database from 'better-sqlite3'
import { bufferPoolSize, mariaDbVersion } from '../places/mariadb'
import { postgresVersion } from '../places/postgres'
import { REDIS_SETTINGS, redisVersion } from '../places/redis-server'
import type { Environment } from './result'

const PACKAGES = [
  'typeorm-backgrounded',
  'typeorm',
  'bull',
  'bullmq',
  'ioredis',
  'graphile-worker',
  'pg-boss',
  'pg',
  'mysql2',
  'better-sqlite3',
]

/** Without Node: that differs from figure to figure. */
export async function environmentOf(): Promise<Environment> {
  const unknown = () => 'not there'
  const versions = {
    Postgres: await postgresVersion().catch(unknown),
    Redis: await redisVersion().catch(unknown),
    MariaDB: await mariaDbVersion().catch(unknown),
    SQLite: sqliteVersion(),
    ...Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(name)])),
  }
  const buffer = await bufferPoolSize().then((size) => `${size} MB`, unknown)
  const [cpu] = cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cores: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}`,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      Redis: REDIS_SETTINGS.map((word) => word || "''").join(' '),
      SQLite: 'write-ahead log, synchronous NORMAL',
      MariaDB: `READ COMMITTED, buffer pool ${buffer}`,
    },
    versions,
  }
}

function packageVersion(name: string): string {
  // Not every package exports its package.json.
  for (const directory of require.resolve.paths(name) ?? []) {
    try {
      const text = readFileSync(`${directory}/${name}/package.json`, 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {
      continue
    }
  }
  return 'unknown'
}

function sqliteVersion(): string {
  const database = new Database(':memory:')
  const row = database.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  database.close()
  return row.version
}

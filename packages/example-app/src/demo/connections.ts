import { Redis } from 'ioredis'
import { DataSource } from 'typeorm'
import { postgres, redis } from '../servers'

const PATIENCE = 5_000

/** Opens a database for a piece of work. */
export async function inDatabase<T>(database: string, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  const { host, port } = postgres
  const dataSource = new DataSource({ type: 'postgres', ...postgres, database, connectTimeoutMS: PATIENCE })
  await dataSource.initialize().catch((error: unknown) => {
    throw unreachable('Postgres', `${host}:${port}`, 'PGHOST, PGPORT, PGUSER and PGPASSWORD', error)
  })
  try {
    return await work(dataSource)
  } finally {
    await dataSource.destroy()
  }
}

/** Connects to Redis for a piece of work. */
export async function inRedis<T>(work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: PATIENCE })
  let reason: unknown
  client.on('error', (error) => (reason = error))
  try {
    await client.connect().catch((error: unknown) => {
      throw unreachable('Redis', new URL(redis.url).host, 'REDIS_URL', reason ?? error)
    })
    return await work(client)
  } finally {
    client.disconnect()
  }
}

function unreachable(server: string, address: string, variables: string, cause: unknown): Error {
  const { message, code } = cause as NodeJS.ErrnoException
  return new Error(
    `${server} cannot be reached at ${address} (${message || code}): start it, as with "docker compose up --detach --wait" ` +
      `in packages/example-app, or say where it is with ${variables}`,
    { cause },
  )
}

// Does a service answer the tests? Exits with 0 if it does, with 2 if nobody listens there, else with 1 and the reason.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../packages/typeorm-backgrounded/package.json', import.meta.url))
const { env } = process

const probes = {
  async postgres() {
    const { Client } = require('pg')
    const client = new Client({
      host: env.PGHOST ?? '127.0.0.1',
      port: Number(env.PGPORT ?? 5432),
      user: env.PGUSER ?? 'postgres',
      password: env.PGPASSWORD ?? 'postgres',
      database: 'postgres',
    })
    await client.connect()
    await client.end()
  },

  async mariadb() {
    const { createConnection } = require('mysql2/promise')
    const connection = await createConnection({
      host: env.MYSQL_HOST ?? '127.0.0.1',
      port: Number(env.MYSQL_PORT ?? 3306),
      user: env.MYSQL_USER ?? 'root',
      password: env.MYSQL_PASSWORD ?? '',
    })
    await connection.end()
  },

  async redis() {
    const { Redis } = require('ioredis')
    const redis = new Redis(env.REDIS_URL ?? 'redis://127.0.0.1:6379', {
      lazyConnect: true,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
    })
    const failed = new Promise((_, reject) => redis.on('error', reject))
    await Promise.race([redis.ping(), failed])
    redis.disconnect()
  },
}

const [name] = process.argv.slice(2)
setTimeout(() => {
  console.error(`${name}: no answer in time`)
  process.exit(1)
}, 10_000).unref()
try {
  await probes[name]()
} catch (error) {
  console.error(`${name}: ${error.message || error.code}`)
  process.exitCode = error.code === 'ECONNREFUSED' ? 2 : 1
}

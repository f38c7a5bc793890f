import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { requireService } from './require-service'

export const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

export async function requireRedis(context: Mocha.Context): Promise<void> {
  await requireService(context, `Redis on ${redisUrl}`, () => ping(redisUrl))
}

/** A private prefix for a test's keys; remove them by it in the end. */
export function uniquePrefix(): string {
  return `backgrounded-test-${randomUUID()}`
}

/** Removes everything whose key starts with the prefix. */
export async function removeKeys(prefix: string): Promise<void> {
  if (!prefix.startsWith('backgrounded-test-')) throw new Error(`'${prefix}' is no test's prefix: its keys are kept`)
  const redis = new Redis(redisUrl)
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(...(keys as string[]))
    }
  } finally {
    redis.disconnect()
  }
}

/**
 * Makes all that BullHandler's workers hold below the prefix the property of a worker that is dead. Removing their
 * own keys is not enough for that: they live, and say so again with the next beat.
 */
export async function forgetWorkers(prefix: string, source = 'default'): Promise<void> {
  const base = `${prefix}:${source}:`
  const redis = new Redis(redisUrl)
  try {
    for (const queue of await redis.smembers(`${base}queues`)) {
      for (const id of await redis.lrange(`${base}${queue}:active`, 0, -1)) {
        await redis.hset(`${base}${queue}:${id}`, 'lease', `killed-${randomUUID()}/1`)
      }
    }
    const workers = await redis.keys(`${base}worker:*`)
    if (workers.length > 0) await redis.del(...workers)
  } finally {
    redis.disconnect()
  }
}

/** Rejects, with the reason, where no Redis answers. */
export async function ping(url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  let reason: Error | undefined
  redis.on('error', (error) => (reason = error))
  try {
    await redis.ping()
  } catch (error) {
    throw reason ?? error
  } finally {
    redis.disconnect()
  }
}

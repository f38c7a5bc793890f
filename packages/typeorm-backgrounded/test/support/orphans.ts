import type { Redis } from 'ioredis'

/**
 * Makes all waiting jobs of a queue those of a worker that was killed: claimed, and nobody renews their leases.
 * @param base `<prefix>:<source>:`
 * @returns their ids
 */
export async function orphan(redis: Redis, base: string, queue = 'default'): Promise<string[]> {
  const ids: string[] = []
  for (;;) {
    const id = await redis.rpoplpush(`${base}${queue}:wait`, `${base}${queue}:active`)
    if (id === null) return ids
    await redis.hset(`${base}${queue}:${id}`, { lease: 'killed-worker/1', attemptsMade: 1 })
    ids.push(id)
  }
}

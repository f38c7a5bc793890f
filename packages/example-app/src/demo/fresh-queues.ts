import { inRedis } from './connections'

/** Removes the jobs of the last run, and no other keys. */
export async function makeFreshQueues(prefix: string): Promise<void> {
  await inRedis(async (client) => {
    // BullHandler's keys begin with its prefix and the name of the data source.
    const found = client.scanStream({ match: `${prefix}:default:*`, count: 1_000 })
    for await (const keys of found as AsyncIterable<string[]>) {
      if (keys.length > 0) await client.unlink(keys)
    }
  })
}

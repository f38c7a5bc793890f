import { inDatabase, inRedis } from '../../src/demo/connections'

/** Locally a missing server skips its tests, loudly; in CI it fails them. */
export async function requireServers(context: Mocha.Context): Promise<void> {
  try {
    await inDatabase('postgres', async () => {})
    await inRedis(async () => {})
  } catch (error) {
    if (process.env.CI) throw error
    console.warn(`SKIPPED: ${(error as Error).message}`)
    context.skip()
  }
}

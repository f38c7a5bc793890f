/** Locally a missing service skips the tests that need it, loudly; in CI it fails them. */
export async function requireService(
  context: Mocha.Context,
  name: string,
  probe: () => Promise<unknown>,
): Promise<void> {
  try {
    await probe()
  } catch (error) {
    const missing = `no ${name} (${(error as Error).message})`
    if (process.env.CI) throw new Error(missing, { cause: error })
    console.warn(`SKIPPED: ${missing}`)
    context.skip()
  }
}

/** How long the process may take to end after the last test, in ms: a lease, and some time to spare. */
const WITHIN = 60_000

/**
 * Loaded by mocha: a run whose tests have passed, and whose process does not end, has failed, since an application that
 * closes its data source must be able to end as well.
 */
export const mochaHooks = {
  afterAll(): void {
    setTimeout(() => {
      console.error(
        `Something keeps the process alive after its tests: ${process.getActiveResourcesInfo().join(', ')}.`,
      )
      process.on('exit', () => (process.exitCode = 1)) // mocha has put its own there
      process.exit()
    }, WITHIN).unref()
  },
}

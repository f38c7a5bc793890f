/** How long the process may take to end after the last test, in ms: a lease, and some time to spare. */
const WITHIN = 60_000

/**
 * Loaded by mocha: a run whose process does not end says what keeps it alive, and is ended, since an application that
 * closes its data source must be able to end as well, and a run of CI must not wait for its time limit.
 */
export const mochaHooks = {
  afterAll(): void {
    setTimeout(() => {
      console.error(
        `Something keeps the process alive after its tests: ${process.getActiveResourcesInfo().join(', ')}.`,
      )
      process.exit()
    }, WITHIN).unref()
  },
}

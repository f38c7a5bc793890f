import { setTimeout as sleep } from 'node:timers/promises'

/**
 * How long what a file has opened may stay open after its last test, in ms: a worker whose store stays away tries for a lease to
 * store what has ended.
 */
const WITHIN = 45_000

/** Of mocha's worker and of this hook. */
let own: readonly string[] = []

/**
 * Loaded by mocha: a file fails when something that it has opened would keep the process alive after its tests, because an
 * application that closes its data source must be able to end.
 */
export const mochaHooks = {
  async beforeAll(): Promise<void> {
    await undefined // mocha sets the timer of an asynchronous hook after the hook has begun, and here too it is one of its own
    own = process.getActiveResourcesInfo()
  },

  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(WITHIN + 10_000)
    await undefined
    for (const end = Date.now() + WITHIN; leftOpen().length > 0; await sleep(100, undefined, { ref: false })) {
      if (Date.now() > end) throw new Error(`Left open, and keeps the process alive: ${leftOpen().join(', ')}.`)
    }
  },
}

function leftOpen(): string[] {
  const left = process.getActiveResourcesInfo()
  for (const resource of own) {
    const index = left.indexOf(resource)
    if (index >= 0) left.splice(index, 1)
  }
  return left
}

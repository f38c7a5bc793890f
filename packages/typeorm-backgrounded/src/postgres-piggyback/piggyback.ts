import type { PiggybackClient, Statement } from './client'
import { Companion } from './companion'

/** A statement that waits for the next one of its connection, to go just before it. */
export interface Load {
  /** Asked for when it leaves. Nobody looks at the rows of its answer. */
  statement(): Statement
  /** The database has executed the statement, or refused it. */
  arrived(error?: unknown): void
  /** Nobody knows what became of it. */
  lost(): void
}

const COMPANION = Symbol('companion')
type Accompanied = PiggybackClient & { readonly [COMPANION]: Companion }

/**
 * Lets `load` wait for the next statement of `client`, whoever sends it. With a COMMIT it is one message: the server
 * commits only if it could execute the load. From then on, transactions of this client begin with their first
 * statement, in one message with it. So neither the load nor the beginning costs a round trip.
 */
export function piggyback(client: PiggybackClient, load: Load): void {
  sendLoad(client)
  const companion = isAccompanied(client) ? client[COMPANION] : accompany(client)
  companion.load = load
}

/** What waits on `client` does so no more. */
export function unload(client: PiggybackClient): void {
  if (isAccompanied(client)) client[COMPANION].load = undefined
}

/** Sends what waits on `client` now. */
export function sendLoad(client: PiggybackClient): void {
  if (isAccompanied(client)) client[COMPANION].sendLoad()
}

function isAccompanied(client: PiggybackClient): client is Accompanied {
  return COMPANION in client
}

/** Once for each client: they live in a pool, and see many transactions. */
function accompany(client: PiggybackClient): Companion {
  const companion = new Companion(client)
  Object.defineProperty(client, COMPANION, { value: companion })
  client.query = (...args) => companion.query(args)
  return companion
}

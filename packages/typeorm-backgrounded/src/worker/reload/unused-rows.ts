import type { ObjectLiteral } from 'typeorm'
import type { PrefetchedRows } from '../../handlers/contract/built-in'

/** How long a prefetched row may wait, in ms, before it is read again. */
const FRESH = 100

/** The entities of prefetched rows, each for one job. */
export class UnusedRows {
  private readonly hydrated = new WeakMap<PrefetchedRows, Promise<Map<string, ObjectLiteral>>>()

  constructor(private readonly hydrate: (rows: readonly object[]) => Promise<Map<string, ObjectLiteral>>) {}

  /** @param key as text */
  async take(read: PrefetchedRows, key: string): Promise<ObjectLiteral | undefined> {
    if (performance.now() - read.at > FRESH) return undefined
    let hydrated = this.hydrated.get(read)
    // A normal load will have the same error.
    if (!hydrated) this.hydrated.set(read, (hydrated = this.hydrate(read.rows).catch(() => new Map<string, never>())))
    const entities = await hydrated
    const entity = entities.get(key)
    entities.delete(key) // two jobs on one row must not share an object
    return entity
  }
}

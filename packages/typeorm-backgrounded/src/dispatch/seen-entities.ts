import { removeFrom } from '../concurrency/remove-from'

const RECENT = 1_000

/** The entities that were loaded or saved in one transaction, `owner`. */
export class SeenEntities<Owner extends object> {
  /** The most recent ones, in a list because adding to it costs a find or a save next to nothing. */
  private recent: object[] = []
  private last: object | undefined

  constructor(
    private readonly owner: Owner,
    /** The older ones of all transactions, held weakly, so that a transaction may load any number of rows. */
    private readonly older: WeakMap<object, Owner>,
  ) {}

  add(entity: object): void {
    if (entity === this.last) return
    this.last = entity
    this.recent.push(entity)
    if (this.recent.length > RECENT) this.holdWeakly()
  }

  /** Removes it from the most recent ones. */
  remove(entity: object): void {
    removeFrom(this.recent, entity)
    if (this.last === entity) this.last = undefined
  }

  /** Whether it is one of the most recent ones. */
  hasRecent(entity: object): boolean {
    return this.recent.includes(entity)
  }

  /** Remembers all of them weakly, so that from now on they can be garbage-collected. */
  holdWeakly(): void {
    for (const each of this.recent) this.older.set(each, this.owner)
    this.recent = []
    this.last = undefined
  }
}

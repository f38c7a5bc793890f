import { removeFrom } from '../concurrency/remove-from'

const RECENT = 1_000

/** The entities that were loaded or saved in one transaction, `owner`. */
export class SeenEntities<Owner extends object> {
  /** The last ones in a list, which costs a find or a save next to nothing. */
  private recent: object[] = []
  private last: object | undefined

  constructor(
    private readonly owner: Owner,
    /** The others, weakly and for all transactions, so that one may walk any number of rows. */
    private readonly older: WeakMap<object, Owner>,
  ) {}

  add(entity: object): void {
    if (entity === this.last) return
    this.last = entity
    this.recent.push(entity)
    if (this.recent.length > RECENT) this.letGo()
  }

  /** Of the last ones. */
  remove(entity: object): void {
    removeFrom(this.recent, entity)
    if (this.last === entity) this.last = undefined
  }

  /** Whether it is one of the last. */
  hasRecent(entity: object): boolean {
    return this.recent.includes(entity)
  }

  /** From now on, none of them is kept alive by being seen. */
  letGo(): void {
    for (const each of this.recent) this.older.set(each, this.owner)
    this.recent = []
    this.last = undefined
  }
}

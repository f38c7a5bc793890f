const RECENT = 1_000

/** The entities that were loaded or saved in one transaction. */
export class SeenEntities {
  /** The last ones in a list, which costs a find or a save next to nothing. */
  private recent: object[] = []
  /** The others weakly, so that a transaction may walk any number of rows. */
  private older?: WeakSet<object>

  add(entity: object): void {
    this.recent.push(entity)
    if (this.recent.length <= RECENT) return
    this.older ??= new WeakSet()
    for (const each of this.recent) this.older.add(each)
    this.recent = []
  }

  has(entity: object): boolean {
    return this.recent.includes(entity) || this.older?.has(entity) === true
  }
}

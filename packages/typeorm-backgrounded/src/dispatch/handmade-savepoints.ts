/** The savepoints that the application has set by hand, the latest last, each with the number of calls made before it. */
export class HandmadeSavepoints {
  /** Without a name where it could not be read. */
  private readonly marks: { readonly name: string | undefined; readonly calls: number }[] = []

  set(name: string | undefined, calls: number): void {
    this.marks.push({ name, calls })
  }

  release(name: string): void {
    const index = this.marks.findLastIndex((mark) => mark.name === name)
    if (index >= 0) this.marks.length = index
  }

  /** How many calls were made before the savepoint; 0 for one that was set before the first call. */
  callsBefore(name: string): number {
    const mark = this.marks.findLast((each) => each.name === name) ?? this.marks.findLast((each) => !each.name)
    return mark?.calls ?? 0
  }
}

/**
 * The level around one of TypeORM's own savepoints: 1 is the transaction itself. Undefined for a savepoint that was set by
 * hand. Not by the runner's own depth, which TypeORM up to 0.3.20 changes before it sends the statement, and later versions
 * after.
 */
export function levelAround(name: string): number | undefined {
  const number = /^typeorm_(\d+)$/.exec(name)?.[1]
  return number === undefined ? undefined : Number(number)
}

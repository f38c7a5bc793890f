/** What a statement does to the transaction that it is in. */
export type Edge =
  | { readonly kind: 'commit' | 'rollback' }
  | { readonly kind: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }

const ANY = /^\s*(?:COMMIT|END|SAVEPOINT|RELEASE|ROLLBACK|ABORT)\b/i
const COMMIT = /^\s*(?:COMMIT|END)\b(?!\s+PREPARED)/i
const ROLLBACK = /^\s*(?:ROLLBACK|ABORT)\b(?!\s+PREPARED)/i
const NAME = '("[^"]+"|`[^`]+`|[\\w$]+)'
const NAMED = [
  ['savepoint', new RegExp(`^\\s*SAVEPOINT\\s+${NAME}`, 'i')],
  ['release', new RegExp(`^\\s*RELEASE\\s+(?:SAVEPOINT\\s+)?${NAME}`, 'i')],
  ['rollbackTo', new RegExp(`^\\s*ROLLBACK\\s+(?:(?:WORK|TRANSACTION)\\s+)?TO\\s+(?:SAVEPOINT\\s+)?${NAME}`, 'i')],
] as const

/** Of TypeORM's own statements and of those that the application writes by hand. Undefined for every other statement. */
export function edgeOf(sql: unknown): Edge | undefined {
  if (typeof sql !== 'string' || !ANY.test(sql)) return undefined
  if (COMMIT.test(sql)) return { kind: 'commit' }
  for (const [kind, pattern] of NAMED) {
    const name = pattern.exec(sql)?.[1]
    if (name !== undefined) return { kind, name: name.replaceAll(/["`]/g, '').toLowerCase() }
  }
  return ROLLBACK.test(sql) ? { kind: 'rollback' } : undefined
}

/**
 * The level around one of TypeORM's own savepoints: 1 is the transaction itself. Undefined for a savepoint that was set by
 * hand. The runner's own depth does not tell: TypeORM up to 0.3.20 changes it before it sends the statement, later versions after.
 */
export function levelAround(name: string): number | undefined {
  const number = /^typeorm_(\d+)$/.exec(name)?.[1]
  return number === undefined ? undefined : Number(number)
}

/** The savepoints that the application has set by hand, the latest last, each with the number of calls made before it. */
export class HandmadeSavepoints {
  private readonly marks: { readonly name: string; readonly calls: number }[] = []

  set(name: string, calls: number): void {
    this.marks.push({ name, calls })
  }

  release(name: string): void {
    const index = this.marks.findLastIndex((mark) => mark.name === name)
    if (index >= 0) this.marks.length = index
  }

  /** How many calls were made before the savepoint; one that nobody has seen set is older than all of them. */
  callsBefore(name: string): number {
    return this.marks.findLast((mark) => mark.name === name)?.calls ?? 0
  }
}

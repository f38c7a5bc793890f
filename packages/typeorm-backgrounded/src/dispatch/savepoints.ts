/** What a statement does to the transaction that it is in. */
export type Edge =
  | { readonly kind: 'commit' | 'rollback' | 'definition' }
  | { readonly kind: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }

const COMMENTS = '^(?:\\s|--[^\\n]*\\n|/\\*(?:[^*]|\\*(?!/))*\\*/)*'
const starting = (pattern: string) => new RegExp(COMMENTS + pattern, 'i')
const ANY = starting(
  '(?:COMMIT|END|SAVEPOINT|RELEASE|ROLLBACK|ABORT|BEGIN|START|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|REVOKE|LOCK|SET)\\b',
)
const COMMIT = starting('(?:COMMIT|END)\\b(?!\\s+PREPARED)')
const ROLLBACK = starting('(?:ROLLBACK|ABORT)\\b(?!\\s+PREPARED)')
const NAME = '("[^"]+"|`[^`]+`|[\\w$]+)'
const NAMED = [
  ['savepoint', starting(`SAVEPOINT\\s+${NAME}`)],
  ['release', starting(`RELEASE\\s+(?:SAVEPOINT\\s+)?${NAME}`)],
  ['rollbackTo', starting(`ROLLBACK\\s+(?:(?:WORK|TRANSACTION)\\s+)?TO\\s+(?:SAVEPOINT\\s+)?${NAME}`)],
] as const
/** MariaDB and MySQL commit before these, even when the application does not expect it. */
const DEFINITION = starting(
  '(?:BEGIN|START|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|REVOKE|LOCK|SET\\s+(?:SESSION\\s+|@@)?autocommit)\\b',
)

/**
 * The effect of a statement on its transaction, whether TypeORM or the application sends it. Undefined when it has
 * none.
 */
export function edgeOf(sql: unknown): Edge | undefined {
  if (typeof sql !== 'string' || !ANY.test(sql)) return undefined
  if (COMMIT.test(sql)) return { kind: 'commit' }
  for (const [kind, pattern] of NAMED) {
    const name = pattern.exec(sql)?.[1]
    if (name !== undefined) return { kind, name: name.replaceAll(/["`]/g, '').toLowerCase() }
  }
  if (ROLLBACK.test(sql)) return { kind: 'rollback' }
  return DEFINITION.test(sql) ? { kind: 'definition' } : undefined
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

  /** How many calls were made before the savepoint; 0 for a savepoint that is not known. */
  callsBefore(name: string): number {
    return this.marks.findLast((mark) => mark.name === name)?.calls ?? 0
  }
}

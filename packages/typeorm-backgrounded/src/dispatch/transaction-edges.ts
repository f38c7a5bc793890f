import type { Dialect } from '../database/dialect'
import { statementOf, type Token } from './sql-tokens'

/** What a statement does to the transaction that it is in. */
export type Edge =
  | { readonly kind: 'commit' | 'rollback' }
  /** It may end or divide the transaction, and how cannot be told from its text. */
  | { readonly kind: 'unclear' }
  | { readonly kind: 'savepoint' | 'release' | 'rollbackTo'; readonly name: string }

/** What nearly all statements begin with. None of these ends or divides a transaction, on any database. */
const HARMLESS = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|VALUES)\b/i
/** Begins a further statement of the same text. */
const SEVERAL = /;\s*\S/
const EDGE_WORDS = /\b(?:COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE)\b/i
/** MariaDB and MySQL, and other databases, commit before or in many statements. These never do. */
const NEVER_COMMITS = new Set(
  [
    'SELECT',
    'INSERT',
    'UPDATE',
    'DELETE',
    'REPLACE',
    'WITH',
    'VALUES',
    'TABLE',
    'EXPLAIN',
    'DESCRIBE',
    'DESC',
    'SHOW',
  ].concat('DO', '('),
)
/** On Postgres: settings that decide which table a later INSERT means, and whether it is allowed. */
const DECIDES_ON_TABLES = /\b(?:search_path|role|authorization|schema|all)\b/i

/**
 * The effect of a statement on its transaction, whether TypeORM or the application sends it. Undefined when it has
 * none.
 */
export function edgeOf(sql: unknown, dialect: Dialect | undefined): Edge | undefined {
  if (typeof sql !== 'string') return undefined
  const isSeveral = sql.includes(';') && SEVERAL.test(sql)
  if (HARMLESS.test(sql) && !isSeveral) return undefined
  const { tokens, isWhole } = statementOf(sql, dialect)
  const edge = isWhole ? edgeOfWords(tokens, dialect) : undefined
  return edge ?? (isUnclear(sql, tokens, isWhole, dialect) ? { kind: 'unclear' } : undefined)
}

function edgeOfWords([first, ...rest]: readonly Token[], dialect: Dialect | undefined): Edge | undefined {
  switch (first?.word) {
    case 'COMMIT':
    case 'END':
      return rest[0]?.word === 'PREPARED' ? undefined : { kind: 'commit' }
    case 'ABORT':
      return { kind: 'rollback' }
    case 'SAVEPOINT':
      return named('savepoint', rest, dialect)
    case 'RELEASE':
      return named('release', without(rest, 'SAVEPOINT'), dialect)
    case 'ROLLBACK': {
      const [next, ...more] = without(rest, 'WORK', 'TRANSACTION')
      if (next?.word === 'TO') return named('rollbackTo', without(more, 'SAVEPOINT'), dialect)
      return next?.word === 'PREPARED' ? undefined : { kind: 'rollback' }
    }
  }
  return undefined
}

/** Without a first word of these. A savepoint may have such a name itself. */
function without(tokens: readonly Token[], ...words: readonly string[]): readonly Token[] {
  const [first, second] = tokens
  return first?.word !== undefined && words.includes(first.word) && second !== undefined ? tokens.slice(1) : tokens
}

function named(
  kind: 'savepoint' | 'release' | 'rollbackTo',
  [token]: readonly Token[],
  dialect: Dialect | undefined,
): Edge | undefined {
  if (token?.name === undefined) return undefined
  // Postgres alone distinguishes the case of quoted names.
  const keepsCase = dialect === 'postgres' && token.word === undefined
  return { kind, name: keepsCase ? token.name : token.name.toLowerCase() }
}

function isUnclear(sql: string, [first]: readonly Token[], isWhole: boolean, dialect: Dialect | undefined): boolean {
  if (dialect === 'postgres' || dialect === 'sqlite') {
    if (!isWhole || EDGE_WORDS.test(first?.word ?? '')) return EDGE_WORDS.test(sql)
    return dialect === 'postgres' && /^(?:SET|RESET|DISCARD)$/.test(first?.word ?? '') && DECIDES_ON_TABLES.test(sql)
  }
  if (!isWhole) return true
  if (first?.word === 'SET') return /\b(?:autocommit|password|role)\b/i.test(sql)
  return first !== undefined && !NEVER_COMMITS.has(first.word ?? first.text)
}

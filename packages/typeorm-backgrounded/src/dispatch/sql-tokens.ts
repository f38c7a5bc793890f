import type { Dialect } from '../database/dialect'

/** A part of a statement, as far as the edges of transactions need it. */
export interface Token {
  readonly text: string
  /** In capitals. Absent when it is quoted, or a sign. */
  readonly word?: string
  /** What it is as a name, without its quotes. Absent for a sign. */
  readonly name?: string
}

/** ROLLBACK, TRANSACTION, TO, SAVEPOINT, and the name. */
const MOST_TOKENS = 6

const BLANK = /\s+/y
const LINE_COMMENT = /(?:--|#)[^\n]*/y
const WORD = /[\p{L}\p{N}_$@.]+/uy
const QUOTED = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|'(?:[^']|'')*'|\[[^\]]*\]/y

/**
 * The first tokens of the first statement of a text, without comments.
 * @returns `isWhole`: false when there is another statement behind it, or a comment that the server executes
 */
export function statementOf(sql: string, dialect: Dialect | undefined): { tokens: Token[]; isWhole: boolean } {
  const tokens: Token[] = []
  let at = 0
  const read = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const text = pattern.exec(sql)?.[0]
    if (text !== undefined) at += text.length
    return text
  }
  while (at < sql.length && tokens.length < MOST_TOKENS) {
    if (read(BLANK) !== undefined) continue
    const isComment = sql.startsWith('--', at) || (sql[at] === '#' && hasHashComments(dialect))
    if (isComment && read(LINE_COMMENT) !== undefined) continue
    if (sql.startsWith('/*', at)) {
      if (/^\/\*M?!/.test(sql.slice(at, at + 4)) && dialect !== 'postgres') return { tokens, isWhole: false }
      at = endOfComment(sql, at, dialect === 'postgres')
      continue
    }
    if (sql[at] === ';') {
      at++
      if (tokens.length === 0) continue
      return { tokens, isWhole: isBlank(sql.slice(at)) }
    }
    const word = read(WORD)
    const quoted = word === undefined ? read(QUOTED) : undefined
    if (word !== undefined) tokens.push({ text: word, word: word.toUpperCase(), name: word })
    else if (quoted !== undefined) tokens.push({ text: quoted, name: unquoted(quoted) })
    else tokens.push({ text: sql[at++] as string })
  }
  return { tokens, isWhole: !/;\s*\S/.test(sql.slice(at)) }
}

function hasHashComments(dialect: Dialect | undefined): boolean {
  return dialect === 'mariadb' || dialect === undefined
}

/** Comments inside comments are a matter of Postgres. */
function endOfComment(sql: string, start: number, nests: boolean): number {
  let depth = 1
  const marks = /\/\*|\*\//g
  marks.lastIndex = start + 2
  for (let mark = marks.exec(sql); mark; mark = marks.exec(sql)) {
    if (mark[0] === '*/') depth--
    else if (nests) depth++
    if (depth === 0) return marks.lastIndex
  }
  return sql.length
}

function isBlank(rest: string): boolean {
  return rest.trim() === ''
}

function unquoted(quoted: string): string {
  const quote = quoted[0] as string
  const inner = quoted.slice(1, -1)
  return quote === '[' ? inner : inner.replaceAll(quote + quote, quote)
}

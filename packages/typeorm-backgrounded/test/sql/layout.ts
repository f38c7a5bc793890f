const TOKEN = /'(?:[^']|'')*'|"[^"]*"|`[^`]*`|\(|\)|\s+|[^\s()'"`]+/g
/** A clause that begins a line of its own. */
const CLAUSE =
  /^(?:WITH|SELECT|FROM|WHERE|ORDER BY|GROUP BY|LIMIT|UNION ALL|RETURNING|SET|VALUES|INSERT INTO|DELETE|UPDATE|USING|CROSS JOIN|ON CONFLICT|ON DUPLICATE KEY|FOR UPDATE)\b/
const WIDTH = 120

/** The statement with a line for each clause, as deep as its parentheses. No token of it is changed. */
export function laidOut(sql: string): string {
  const lines: string[] = []
  let line = ''
  let lineDepth = 0
  let previous = ''
  /** Of each parenthesis that is open: whether a line has begun inside it. */
  let broken: boolean[] = []
  const end = () => {
    if (line.trim() !== '') lines.push(...wrapped(line.trim(), '  '.repeat(lineDepth)))
    line = ''
    lineDepth = broken.length
  }
  for (const { 0: token, index } of sql.matchAll(TOKEN)) {
    const startsClause = CLAUSE.test(sql.slice(index)) && !/^(?:FOR|KEY|DELETE)$/.test(previous)
    if (startsClause) {
      end()
      broken = broken.map(() => true)
    }
    if (token === '(') broken.push(false)
    if (token === ')' && broken.pop()) end()
    line += token
    if (token.trim() !== '') previous = token
  }
  end()
  return lines.join('\n')
}

function wrapped(line: string, indent: string): string[] {
  const lines: string[] = []
  let current = indent
  for (const word of line.match(/(?:'(?:[^']|'')*'|"[^"]*"|`[^`]*`|[^\s'"`])+/g) ?? []) {
    const isFirst = current.trim() === ''
    if (!isFirst && current.length + 1 + word.length > WIDTH) {
      lines.push(current)
      current = `${indent}    ${word}`
    } else {
      current += isFirst ? word : ` ${word}`
    }
  }
  return [...lines, current]
}

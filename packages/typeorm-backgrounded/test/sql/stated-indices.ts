/** What the source says of a statement: which index serves it, and what there is to know about it. */
export interface Remark {
  readonly index?: string
  readonly note?: string
}

/**
 * The comments beside the statements in a source file, by the statement's name. A `//` comment names the index of the
 * statements below it, up to the next empty line or the next such comment; a doc comment belongs to one statement.
 */
export function remarksIn(source: string): ReadonlyMap<string, Remark> {
  const remarks = new Map<string, Remark>()
  let index: string | undefined
  let note: string | undefined
  let doc: string[] | undefined
  let wasComment = false
  for (const line of source.split('\n')) {
    const comment = /^ {4}\/\/ (.*)/.exec(line)?.[1]
    const name = /^ {4}(\w+)(?::|\()/.exec(line)?.[1]
    if (doc) doc.push(line)
    else if (/^ {4}\/\*\*/.test(line)) doc = [line]
    else if (line.trim() === '') index = undefined
    else if (comment !== undefined) index = wasComment ? `${index} ${comment}` : comment
    else if (name !== undefined) {
      remarks.set(name, { index, note })
      note = undefined
    }
    wasComment = comment !== undefined
    if (doc && line.includes('*/')) {
      note = textOf(doc)
      doc = undefined
    }
  }
  return remarks
}

function textOf(doc: readonly string[]): string {
  const lines = doc.map((line) => line.replace(/^\s*\/?\*+\/?\s?/, '').replace(/\s*\*\/\s*$/, ''))
  return lines.join(' ').trim()
}

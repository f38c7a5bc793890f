import { createHash } from 'node:crypto'

const names = new Map<string, string>()

/** Under this name a connection parses and plans a statement once, whoever else uses the connection. */
export function statementName(text: string): string {
  let name = names.get(text)
  if (!name) {
    name = `backgrounded_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
    names.set(text, name)
  }
  return name
}

import { createHash } from 'node:crypto'

const names = new Map<string, string>()

/** The name of a prepared statement, which depends on its text, so that no other user of the connection has the same. */
export function statementName(text: string): string {
  let name = names.get(text)
  if (!name) {
    name = `backgrounded_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
    names.set(text, name)
  }
  return name
}

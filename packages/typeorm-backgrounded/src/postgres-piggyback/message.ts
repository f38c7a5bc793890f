import type { Connection, Statement } from './client'

/** Sends a statement, not the Sync that makes the server answer. Unless it is described, nobody learns of its columns. */
export function execute(
  connection: Connection,
  { name = '', text, values }: Statement,
  { isDescribed = false } = {},
): void {
  if (connection.parsedStatements[name] !== text) connection.parse({ name, text, types: [] })
  connection.bind({ portal: '', statement: name, values })
  if (isDescribed) connection.describe({ type: 'P', name: '' })
  connection.execute({ portal: '', rows: 0 })
}

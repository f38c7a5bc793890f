import type { DataSource } from 'typeorm'
import { withPoolRunner } from '../../../database/pool-runner'
import type { PostgresConnection } from '../../../database/postgres/connection'

/** The settings of a session that decide which rows a statement sees. */
const SESSION_VISIBILITY = "SELECT current_setting('search_path') AS path, current_user AS role"
interface SessionVisibility {
  readonly path: string
  readonly role: string
}

/** Whether a statement on this connection sees the same rows as on a connection of the data source's pool. */
export async function seesSameRowsAsPool(
  connection: PostgresConnection,
  dataSource: DataSource,
  timeout: number,
): Promise<boolean> {
  const [own] = await connection.query<SessionVisibility>(SESSION_VISIBILITY, [], timeout)
  const [pool] = await withPoolRunner(
    dataSource,
    (runner) => runner.query(SESSION_VISIBILITY) as Promise<SessionVisibility[]>,
    { connect: timeout, answer: timeout, subject: 'The settings of the pool have not been read' },
  )
  return own?.path === pool?.path && own?.role === pool?.role
}

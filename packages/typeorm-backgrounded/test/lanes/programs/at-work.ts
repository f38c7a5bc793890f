import type { EntityManager } from 'typeorm'

/** What shows that a condition is at work: a program that ran without it would prove nothing. */
const signs: Record<string, (manager: EntityManager) => Promise<boolean>> = {
  opentelemetry: async (manager) => (await textOnServer(manager)).includes('traceparent='),
  'dd-trace': async (manager) => (await textOnServer(manager)).includes('dddbs='),
  'copying-wrapper': async (manager) => (await textOnServer(manager)).includes('/* copied */'),
  'pg-native': isNative,
  'discard-all': forgetsSettings,
  'pgbouncer-discard-all': forgetsSettings,
}

/** Whether a condition can be seen; true for one without a sign, because nobody connects without it. */
export async function isAtWork(condition: string, manager: EntityManager): Promise<boolean> {
  return (await signs[condition]?.(manager)) ?? true
}

/** The text of this very query, as it came to the server. */
async function textOnServer(manager: EntityManager): Promise<string> {
  const [row] = await manager.query('SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()')
  return row.query
}

async function isNative(manager: EntityManager): Promise<boolean> {
  const runner = manager.connection.createQueryRunner()
  const client = await runner.connect()
  await runner.release()
  return client.native !== undefined
}

/** Whether sessions lose their settings on the way back into the pool, whichever of its connections is asked. */
async function forgetsSettings(manager: EntityManager): Promise<boolean> {
  await manager.query(`SELECT set_config('conditions.kept', 'kept', false)`)
  const reading = () => manager.query(`SELECT current_setting('conditions.kept', true) AS kept`)
  const rows = (await Promise.all(Array.from({ length: 20 }, reading))).flat()
  return rows.every(({ kept }) => kept !== 'kept')
}

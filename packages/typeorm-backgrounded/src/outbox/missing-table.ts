import type { DataSource } from 'typeorm'
import { withAdvice } from '../database/defects'
import { isMissingTableError } from '../database/errors'
import { withPoolRunner, type Patience } from '../database/pool-runner'

const PATIENCE: Patience = { connect: 10_000, answer: 15_000, subject: 'The table of migrations has not been read' }

/** Returns the error itself, or an error with advice when waiting would not help, such as a missing table. */
export function withTableAdvice(error: unknown): unknown {
  return withAdvice(error, {
    tables: 'outbox tables',
    missing:
      'The table backgrounded_outbox is not in the database: generate and run a migration (typeorm migration:generate), print ' +
      'its SQL with typeorm-backgrounded schema, let the application create it with synchronize in development, or pass ' +
      '{ outbox: false } to withBackgrounded, after which a call whose process dies right after its commit is lost.',
  })
}

/** Whether the table may still be created: migrations are pending, or this process is TypeORM's own CLI. */
export async function mayStillCome(dataSource: DataSource): Promise<boolean> {
  return isTypeOrmCli(process.argv[1] ?? '') || (await hasPendingMigrations(dataSource))
}

export function isTypeOrmCli(program: string): boolean {
  return /[\\/](typeorm|typeorm-ts-node-(commonjs|esm)|typeorm[\\/]cli(-ts-node-(commonjs|esm))?\.js)$/.test(program)
}

/** Without TypeORM's own executor, which would create the table of migrations. */
async function hasPendingMigrations(dataSource: DataSource): Promise<boolean> {
  const { migrations } = dataSource
  if (migrations.length === 0) return false
  const { driver, options } = dataSource
  const table = driver.buildTableName(
    options.migrationsTableName ?? 'migrations',
    'schema' in options ? (options.schema as string | undefined) : undefined,
  )
  const path = table
    .split('.')
    .map((name) => driver.escape(name))
    .join('.')
  try {
    const rows = await withPoolRunner(
      dataSource,
      (runner) => runner.query(`SELECT ${driver.escape('name')} AS name FROM ${path}`) as Promise<{ name: string }[]>,
      PATIENCE,
    )
    const executed = new Set(rows.map(({ name }) => name))
    return migrations.some(({ name, constructor }) => !executed.has(name ?? constructor.name))
  } catch (error) {
    if (isMissingTableError(error)) return true
    throw error
  }
}

import { existsSync } from 'node:fs'
import { DataSource, Table, type DataSourceOptions, type QueryRunner } from 'typeorm'
import { pluginOf } from '../plugin/attach'
import { dialectOf, SUPPORTED_DATABASES } from '../database/dialect'
import { UnsupportedDatabaseError } from '../errors'
import { errorMessage } from '../reporting/safe-error'
import type { Patience } from '../database/pool-runner'
import { describeDifference, tableDifferences } from '../database/table-differences'

/** What is missing of the plugin's tables in a database, and the statements that add it. */
export interface MissingTables {
  readonly missing: readonly string[]
  readonly statements: readonly string[]
}

/** Options for SQLite that leave the application's file alone, because opening a file that is not there creates it. */
const IN_MEMORY = { database: ':memory:', readonly: false, fileMustExist: false, key: undefined }
const READ_ONLY = { readonly: true, fileMustExist: true }
/** Long, because a server with many tables takes its time, and somebody waits for the answer. */
const PATIENCE: Patience = { connect: 10_000, answer: 60_000, subject: 'The tables have not been compared' }

/**
 * The statements that create the plugin's tables, under the names that this data source gives them, in a database that has
 * none of them. Writes nothing to the database.
 * @throws NotAttachedError, UnsupportedDatabaseError
 */
export async function tableStatements(dataSource: DataSource): Promise<string[]> {
  const statements = await onSibling(dataSource, IN_MEMORY, (sibling) =>
    keptStatements(sibling, async (runner) => {
      for (const metadata of sibling.entityMetadatas) {
        await runner.createTable(Table.create(metadata, sibling.driver))
      }
    }),
  )
  return statements ?? []
}

/**
 * Compares the plugin's tables with those in the database of this data source. Writes nothing to the database.
 * @throws NotAttachedError, UnsupportedDatabaseError
 */
export async function missingTables(dataSource: DataSource): Promise<MissingTables> {
  const { type, database } = dataSource.options
  const isThere = dialectOf(type) !== 'sqlite' || (typeof database === 'string' && existsSync(database))
  const found = await onSibling(dataSource, isThere ? READ_ONLY : IN_MEMORY, async (sibling) => {
    const differences = await tableDifferences(sibling, sibling.entityMetadatas, PATIENCE)
    const statements = await keptStatements(sibling, async (runner) => {
      for (const { mend } of differences) await mend(runner)
    })
    return { missing: differences.map(describeDifference), statements }
  })
  return found ?? { missing: [], statements: [] }
}

/**
 * Runs `work` on a second data source for the same database, which has only the plugin's tables. Returns undefined without
 * running it if the handler needs no tables.
 * @param sqlite options that are used only for SQLite
 */
async function onSibling<T>(
  dataSource: DataSource,
  sqlite: object,
  work: (sibling: DataSource) => Promise<T>,
): Promise<T | undefined> {
  const { type } = dataSource.options
  const { entities } = pluginOf(dataSource)
  if (entities.length === 0 && !dialectOf(type)) {
    throw new UnsupportedDatabaseError(
      `The plugin has tables for ${SUPPORTED_DATABASES.join(', ')}, and this data source is ${type}: use one of those databases.`,
    )
  }
  if (entities.length === 0) return undefined
  const sibling = new DataSource(siblingOptions(dataSource.options, [...entities], sqlite))
  try {
    await sibling.initialize()
  } catch (error) {
    throw new Error(
      `The database cannot be reached: ${errorMessage(error)}. The SQL depends on its version, so start it, or configure ` +
        'the data source with a database that it can connect to; nothing is written there.',
      { cause: error },
    )
  }
  try {
    return await work(sibling)
  } finally {
    await sibling.destroy()
  }
}

/** The same options, without those that would change the database. */
function siblingOptions(
  options: DataSourceOptions,
  entities: DataSourceOptions['entities'],
  sqlite: object,
): DataSourceOptions {
  return {
    ...options,
    ...(dialectOf(options.type) === 'sqlite' && { enableWAL: false, prepareDatabase: undefined, ...sqlite }),
    entities,
    subscribers: [],
    migrations: [],
    synchronize: false,
    migrationsRun: false,
    dropSchema: false,
    installExtensions: false,
    cache: false,
    logging: false,
  } as DataSourceOptions
}

/** Lets TypeORM change tables through a runner that only remembers the statements, and returns those. */
async function keptStatements(
  dataSource: DataSource,
  change: (runner: QueryRunner) => Promise<void>,
): Promise<string[]> {
  const runner = dataSource.createQueryRunner('master')
  runner.enableSqlMemory()
  try {
    await change(runner)
    const { upQueries } = runner.getMemorySql()
    return upQueries.map(({ query }) => `${query.trim().replace(/;$/, '')};`)
  } finally {
    runner.disableSqlMemory()
    await runner.release()
  }
}

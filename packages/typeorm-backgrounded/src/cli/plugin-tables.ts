import { existsSync } from 'node:fs'
import { DataSource, Table, type DataSourceOptions, type QueryRunner } from 'typeorm'
import { pluginOf } from '../plugin/attach'
import { dialectOf, SUPPORTED_DATABASES } from '../database/dialect'
import { UnsupportedDatabaseError } from '../errors'
import { errorMessage } from '../reporting/safe-error'
import { describeDifference, tableDifferences } from '../database/table-differences'

/** What the plugin's tables lack in a database, and the statements that add it. */
export interface MissingTables {
  readonly missing: readonly string[]
  readonly statements: readonly string[]
}

/** To open the file of a SQLite database is to create it. */
const ELSEWHERE = { database: ':memory:', readonly: false, fileMustExist: false, key: undefined }
const READ_ONLY = { readonly: true, fileMustExist: true }

/**
 * The statements that create the plugin's tables in a database that has none of them, as this data source names them.
 * Nothing is written.
 * @throws NotAttachedError, UnsupportedDatabaseError
 */
export async function tableStatements(dataSource: DataSource): Promise<string[]> {
  const statements = await onSibling(dataSource, ELSEWHERE, (sibling) =>
    keptStatements(sibling, async (runner) => {
      for (const metadata of sibling.entityMetadatas) {
        await runner.createTable(Table.create(metadata, sibling.driver))
      }
    }),
  )
  return statements ?? []
}

/**
 * Compares the plugin's tables with those in the database of this data source. Nothing is written.
 * @throws NotAttachedError, UnsupportedDatabaseError
 */
export async function missingTables(dataSource: DataSource): Promise<MissingTables> {
  const { type, database } = dataSource.options
  const isThere = dialectOf(type) !== 'sqlite' || (typeof database === 'string' && existsSync(database))
  const found = await onSibling(dataSource, isThere ? READ_ONLY : ELSEWHERE, async (sibling) => {
    const differences = await tableDifferences(sibling, sibling.entityMetadatas)
    const statements = await keptStatements(sibling, async (runner) => {
      for (const { mend } of differences) await mend(runner)
    })
    return { missing: differences.map(describeDifference), statements }
  })
  return found ?? { missing: [], statements: [] }
}

/**
 * Works on a data source that has the plugin's tables alone; not at all where there are none.
 * @param sqlite options for that kind of database
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
      `There are tables for ${SUPPORTED_DATABASES.join(', ')}, and this data source is ${type}.`,
    )
  }
  if (entities.length === 0) return undefined
  const sibling = new DataSource(siblingOptions(dataSource.options, [...entities], sqlite))
  try {
    await sibling.initialize()
  } catch (error) {
    throw new Error(
      `The database cannot be reached, and its version decides on the statements: ${errorMessage(error)}. ` +
        'Start it, or give the data source one that it can connect to: nothing is written there.',
      { cause: error },
    )
  }
  try {
    return await work(sibling)
  } finally {
    await sibling.destroy()
  }
}

/** The same names in the same kind of database, without anything that changes it. */
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

/** TypeORM's own way to change tables, with a runner that keeps the statements to itself. */
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

import { DataSource, Table, type DataSourceOptions } from 'typeorm'
import { pluginOf } from '../backgrounded'
import { dialectOf, SUPPORTED_DATABASES } from '../dialect'
import { UnsupportedDatabaseError } from '../errors'
import { errorMessage } from '../reporting/safe-error'

/**
 * The statements that create the plugin's tables in a database that has none of them, as this data source names them.
 * Nothing is written.
 * @throws NotAttachedError, UnsupportedDatabaseError
 */
export async function tableStatements(dataSource: DataSource): Promise<string[]> {
  const { type } = dataSource.options
  const { entities } = pluginOf(dataSource)
  if (entities.length === 0 && !dialectOf(type)) {
    throw new UnsupportedDatabaseError(
      `There are tables for ${SUPPORTED_DATABASES.join(', ')}, and this data source is ${type}.`,
    )
  }
  if (entities.length === 0) return []
  const sibling = new DataSource(siblingOptions(dataSource.options, [...entities]))
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
    return await createdBy(sibling)
  } finally {
    await sibling.destroy()
  }
}

/** The same names in the same kind of database, without anything that changes it. */
function siblingOptions(options: DataSourceOptions, entities: DataSourceOptions['entities']): DataSourceOptions {
  return {
    ...options,
    // To open the file of a SQLite database is to create it.
    ...(dialectOf(options.type) === 'sqlite' && {
      database: ':memory:',
      readonly: false,
      fileMustExist: false,
      enableWAL: false,
      key: undefined,
      prepareDatabase: undefined,
    }),
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

/** TypeORM's own way to create a table, with a runner that keeps the statements to itself. */
async function createdBy(dataSource: DataSource): Promise<string[]> {
  const runner = dataSource.createQueryRunner('master')
  runner.enableSqlMemory()
  for (const metadata of dataSource.entityMetadatas) {
    await runner.createTable(Table.create(metadata, dataSource.driver))
  }
  const { upQueries } = runner.getMemorySql()
  runner.disableSqlMemory()
  await runner.release()
  return upQueries.map(({ query }) => `${query.trim().replace(/;$/, '')};`)
}

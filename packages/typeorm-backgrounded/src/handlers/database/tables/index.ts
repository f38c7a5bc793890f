import { DefaultNamingStrategy, type DataSource, type EntitySchema } from 'typeorm'
import { withAdvice } from '../../../database/defects'
import { dialectOf, type Dialect } from '../../../database/dialect'
import { MissingTableError } from '../../../errors'
import { tableNames, type TableNames } from '../../../database/table-names'
import { BackgroundedJob, jobTable } from './job-table'
import { PausedQueue, pauseTable } from './paused-queue-table'
import { BackgroundedWorker, workerTable } from './worker-table'

/** Quoted names of the handler's tables. */
export interface JobTables {
  readonly dialect: Dialect
  readonly jobs: TableNames<BackgroundedJob>
  readonly pauses: TableNames<PausedQueue>
  /** Undefined on SQLite, where a lock file shows that a worker is alive. */
  readonly workers: TableNames<BackgroundedWorker> | undefined
}

/** @param driver the data source's `type` */
export function entitiesOf(driver: string, dataSource?: Pick<DataSource, 'namingStrategy'>): EntitySchema[] {
  const { namingStrategy } = dataSource ?? { namingStrategy: new DefaultNamingStrategy() }
  const jobs = jobTable(driver, (property, name) => namingStrategy.columnName(property, name, []))
  const both = [jobs, pauseTable(driver)] as EntitySchema[]
  return dialectOf(driver) === 'sqlite' ? both : [...both, workerTable(driver) as EntitySchema]
}

/** @throws MissingTableError when the entities are not part of the data source */
export function jobTables(dialect: Dialect, dataSource: DataSource): JobTables {
  const needed =
    dialect === 'sqlite' ? [BackgroundedJob, PausedQueue] : [BackgroundedJob, PausedQueue, BackgroundedWorker]
  const missing = needed.filter((entity) => !dataSource.hasMetadata(entity))
  if (missing.length > 0) {
    throw new MissingTableError(
      `The data source lacks the entities ${missing.map(({ name }) => name).join(', ')}: call withBackgrounded() before ` +
        'initialize(), or add ...new DatabaseHandler().entities(type) to its "entities".',
    )
  }
  return {
    dialect,
    jobs: tableNames(dataSource, BackgroundedJob),
    pauses: tableNames(dataSource, PausedQueue),
    workers: dialect === 'sqlite' ? undefined : tableNames(dataSource, BackgroundedWorker),
  }
}

/** Returns the error itself, or an error with advice when waiting would not help, such as a missing table. */
export function withTableAdvice(error: unknown): unknown {
  return withAdvice(error, {
    tables: 'job tables',
    missing:
      'A job table is not in the database: generate and run a migration (typeorm migration:generate), print its SQL with ' +
      'typeorm-backgrounded schema, or let the application create it with synchronize in development. A worker never changes ' +
      'the schema.',
  })
}

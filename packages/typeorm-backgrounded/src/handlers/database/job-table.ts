import { EntitySchema, type DataSource, type EntitySchemaOptions } from 'typeorm'
import { isMissingTableError } from '../../database-errors'
import { MissingTableError } from '../../errors'
import { tableNames, type TableNames } from '../../table-names'
import type { JobState } from '../handler'

/** A row of the job table. Times are ms since the epoch. */
export class BackgroundedJob {
  id!: string
  source!: string
  entity!: string
  /** JSON; null for a static method. */
  key!: string | null
  method!: string
  /** JSON */
  args!: string
  /** JSON; null when `args` are plain. */
  types!: string | null
  queue!: string
  priority!: number
  runAt!: number
  enqueuedAt!: number
  /** JSON */
  meta!: string | null
  /** Null: the method's own. */
  attempts!: number | null
  state!: JobState
  /** Counted by the claim. */
  attempt!: number
  /** 1: its last worker died while it ran. */
  suspect!: number
  worker!: string | null
  /** Fresh with every claim; every later write about the job checks it. */
  lease!: string | null
  releasedSince!: number | null
  /** JSON */
  progress!: string | null
  /** Of the last failed attempt, or the reason of the last release. */
  error!: string | null
  finishedAt!: number | null
}

const NOW = "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))"
/** For rows that were written by hand: random, since only SQL is at work here. */
const RANDOM_ID = '(lower(hex(randomblob(16))))'

const COLUMNS: EntitySchemaOptions<BackgroundedJob>['columns'] = {
  id: { type: 'text', primary: true, default: () => RANDOM_ID },
  source: { type: 'text', default: 'default' },
  entity: { type: 'text' },
  key: { type: 'text', nullable: true },
  method: { type: 'text' },
  args: { type: 'text', default: '[]' },
  types: { type: 'text', nullable: true },
  queue: { type: 'text', default: 'default' },
  priority: { type: 'integer', default: 0 },
  runAt: { type: 'integer', name: 'run_at', default: () => NOW },
  enqueuedAt: { type: 'integer', name: 'enqueued_at', default: () => NOW },
  meta: { type: 'text', nullable: true },
  attempts: { type: 'integer', nullable: true },
  state: { type: 'text', default: 'waiting' },
  attempt: { type: 'integer', default: 0 },
  suspect: { type: 'integer', default: 0 },
  worker: { type: 'text', nullable: true },
  lease: { type: 'text', nullable: true },
  releasedSince: { type: 'integer', name: 'released_since', nullable: true },
  progress: { type: 'text', nullable: true },
  error: { type: 'text', nullable: true },
  finishedAt: { type: 'integer', name: 'finished_at', nullable: true },
}

/**
 * The job table of a SQLite database. Every column that plain SQL may leave out has a default.
 * @param columnName of the data source's naming strategy: TypeORM takes the condition of an index as it stands
 */
export function sqliteJobTable(columnName: (property: string, name?: string) => string): EntitySchema<BackgroundedJob> {
  const state = `"${columnName('state')}"`
  const finishedAt = `"${columnName('finishedAt', COLUMNS.finishedAt?.name)}"`
  return new EntitySchema<BackgroundedJob>({
    name: 'BackgroundedJob',
    target: BackgroundedJob,
    tableName: 'backgrounded_jobs',
    columns: COLUMNS,
    indices: [
      // Serves every look at waiting jobs: which queues and priorities there are, and what is due in one of them.
      { columns: ['source', 'queue', 'priority', 'runAt', 'id'], where: `${state} = 'waiting'` },
      // Serves the search for jobs of dead workers.
      { columns: ['worker'], where: `${state} = 'running'` },
      // Serves the pruning of kept jobs.
      { columns: ['state', 'finishedAt'], where: `${finishedAt} IS NOT NULL` },
    ],
  })
}

/** @throws MissingTableError when the entity is not part of the data source */
export function jobTableNames(dataSource: DataSource): TableNames<BackgroundedJob> {
  if (dataSource.hasMetadata(BackgroundedJob)) return tableNames(dataSource, BackgroundedJob)
  throw new MissingTableError(
    'The data source lacks the entity BackgroundedJob: call withBackgrounded() before initialize(), or add ' +
      '...new DatabaseHandler().entities(type) to its "entities".',
  )
}

/** The error itself, or where the table is not in the database, what to do about it. */
export function explained(error: unknown): unknown {
  if (!isMissingTableError(error)) return error
  return new MissingTableError(
    'The job table is not in the database: generate and run a migration (typeorm migration:generate), or let the application ' +
      'create it with synchronize in development. A worker never changes the schema.',
    { cause: error },
  )
}

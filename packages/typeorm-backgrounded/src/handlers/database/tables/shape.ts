import type { EntityMetadata } from 'typeorm'
import type { Patience } from '../../../database/pool-runner'
import { describeDifference, tableDifferences } from '../../../database/table-differences'
import type { HandlerHost } from '../../contract/handler'
import type { JobTables } from '.'
import { BackgroundedJob } from './job-table'
import { PausedQueue } from './paused-queue-table'
import { BackgroundedWorker } from './worker-table'

/** Short, because `dataSource.destroy()` waits for the connection, and the worker does without the answer. */
const PATIENCE: Patience = { connect: 5_000, answer: 5_000, subject: 'The job tables have not been compared' }

/** A statement that reads no rows, and fails when a column is missing. */
export function columnCheck({ jobs, pauses, workers }: JobTables): string {
  const tables = [jobs, pauses, ...(workers ? [workers] : [])]
  const columns = tables.flatMap((each, place) =>
    Object.values<string>(each.columns).map((name) => `t${place}.${name}`),
  )
  const aliased = tables.map(({ table }, place) => `${table} t${place}`)
  return `SELECT ${columns.join(', ')} FROM ${aliased.join(' CROSS JOIN ')} WHERE 1 = 0`
}

/** Only warns, because jobs are found without an index too, but ever more slowly. */
export async function warnOfMissingIndices({ dataSource, logger }: HandlerHost, patience = PATIENCE): Promise<void> {
  try {
    const entities = [BackgroundedJob, PausedQueue, BackgroundedWorker]
    const metadatas: EntityMetadata[] = entities
      .filter((entity) => dataSource.hasMetadata(entity))
      .map((entity) => dataSource.getMetadata(entity))
    const missing = (await tableDifferences(dataSource, metadatas, patience)).map(describeDifference)
    if (missing.length === 0) return
    logger.warn(
      { missing },
      'the job tables are not as this version needs them, and workers are slow without an index: generate and run a migration, or ' +
        'print what is missing with typeorm-backgrounded schema --check',
    )
  } catch (error) {
    logger.debug({ err: error }, 'the shape of the job tables could not be checked')
  }
}

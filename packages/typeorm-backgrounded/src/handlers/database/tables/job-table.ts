import type { EntitySchema } from 'typeorm'
import { columnTypes } from '../../../database/column-types'
import { dialectOf } from '../../../database/dialect'
import type { JobState } from '../../contract/inspectable'
import { tableEntity } from '../../../database/table-entity'

/** A row of the job table. Times are ms since the epoch, by the database's clock. */
export class BackgroundedJob {
  id!: string
  source!: string
  entity!: string
  /** JSON; null for a static method. */
  key!: string | null
  method!: string
  /** JSON */
  args!: string | null
  /** JSON; null when `args` are plain. */
  types!: string | null
  queue!: string
  priority!: number
  runAt!: number | string
  enqueuedAt!: number | string
  /** JSON */
  meta!: string | null
  /** Null when the method's own number applies. */
  attempts!: number | null
  state!: JobState
  /** Counted by the claim. */
  attempt!: number
  /** 1: its last worker died while it ran. 2: this has happened twice, or only one attempt is left. */
  suspect!: number
  worker!: string | null
  /** A new number with every claim of the worker; every later write about the job checks both. */
  lease!: number | null
  releasedSince!: number | string | null
  /** JSON */
  progress!: string | null
  /** The error of the last failed attempt, or the reason of the last release. */
  error!: string | null
  finishedAt!: number | string | null
}

/**
 * The job table. Every column that plain SQL may leave out has a default.
 * @param columnName applies the naming strategy of the data source, which TypeORM does not apply to the condition of an index
 */
export function jobTable(
  driver: string,
  columnName: (property: string, name?: string) => string,
): EntitySchema<BackgroundedJob> {
  const columns = columnsOf(driver)
  const named = (property: 'state' | 'finishedAt') => `"${columnName(property, columns[property].name)}"`
  return tableEntity(BackgroundedJob, {
    name: 'BackgroundedJob',
    tableName: 'backgrounded_jobs',
    columns,
    indices: dialectOf(driver) === 'mariadb' ? wholeIndices : partialIndices(named('state'), named('finishedAt')),
  })
}

/** Every job is in one or two of these indices, and a waiting job only in the first. */
function partialIndices(state: string, finishedAt: string) {
  return [
    // Serves claims: which lanes have waiting jobs, and which jobs are due in a lane.
    { columns: ['source', 'suspect', 'queue', 'priority', 'runAt', 'id'], where: `${state} = 'waiting'` },
    // Serves the search for jobs of dead workers.
    { columns: ['source', 'worker'], where: `${state} = 'running'` },
    // Serves the search for kept jobs, and their pruning.
    { columns: ['source', 'state', 'finishedAt'], where: `${finishedAt} IS NOT NULL` },
  ]
}

/** MariaDB has no partial indices, so `state` is a column of the index. */
const wholeIndices = [
  { columns: ['source', 'state', 'suspect', 'queue', 'priority', 'runAt', 'id'] },
  { columns: ['finishedAt'] },
]

function columnsOf(driver: string) {
  const { id, source, name, word, text, integer, time, randomId, now } = columnTypes(driver)
  return {
    id: { ...id, primary: true, default: randomId && (() => randomId) },
    source: { ...source, default: 'default' },
    entity: name,
    key: { ...text, nullable: true },
    method: name,
    // MySQL's long texts have no plain defaults.
    args: dialectOf(driver) === 'mariadb' ? { ...text, nullable: true } : { ...text, default: '[]' },
    types: { ...text, nullable: true },
    queue: { ...name, default: 'default' },
    priority: { ...integer, default: 0 },
    runAt: { ...time, name: 'run_at', default: () => now },
    enqueuedAt: { ...time, name: 'enqueued_at', default: () => now },
    meta: { ...text, nullable: true },
    attempts: { ...integer, nullable: true },
    state: { ...word, name: 'state', default: 'waiting' },
    attempt: { ...integer, default: 0 },
    suspect: { ...integer, default: 0 },
    worker: { ...id, nullable: true },
    lease: { ...integer, nullable: true },
    releasedSince: { ...time, name: 'released_since', nullable: true },
    progress: { ...text, nullable: true },
    error: { ...text, nullable: true },
    finishedAt: { ...time, name: 'finished_at', nullable: true },
  }
}

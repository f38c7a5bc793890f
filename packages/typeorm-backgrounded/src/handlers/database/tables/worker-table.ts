import type { EntitySchema } from 'typeorm'
import { columnTypes } from '../../../database/column-types'
import { tableEntity } from '../../../database/table-entity'

/**
 * A worker that is alive, or that no other worker has removed yet. Times are ms since the epoch, by the database's
 * clock.
 */
export class BackgroundedWorker {
  id!: string
  source!: string
  /** Host and process id, for people. Empty when the worker has stopped: then the next worker removes its row. */
  name!: string
  startedAt!: number | string
  beatAt!: number | string
  /**
   * `beatAt` minus this is for how long workers had been in contact with the database at the last beat of this worker,
   * not counting the gaps in which no worker was. Only time in contact counts when a silent worker is taken for dead.
   */
  steadySince!: number | string
}

export function workerTable(driver: string): EntitySchema<BackgroundedWorker> {
  const { id, source, name, time } = columnTypes(driver)
  return tableEntity(BackgroundedWorker, {
    name: 'BackgroundedWorker',
    tableName: 'backgrounded_workers',
    columns: {
      id: { ...id, primary: true },
      source,
      name,
      startedAt: { ...time, name: 'started_at' },
      beatAt: { ...time, name: 'beat_at' },
      steadySince: { ...time, name: 'steady_since' },
    },
  })
}

import type { EntitySchema } from 'typeorm'
import { columnTypes } from '../../../database/column-types'
import { tableEntity } from '../../../database/table-entity'

/** A worker that lives, or whose end nobody has noticed yet. Times are ms since the epoch, by the database's clock. */
export class BackgroundedWorker {
  id!: string
  source!: string
  /** Host and process, for whoever looks; empty: it has stopped, and the next worker removes it. */
  name!: string
  startedAt!: number | string
  beatAt!: number | string
  /**
   * Since when, at its last beat, some worker or other has been in touch with the database, as if it had been so without a
   * gap: only that time counts when a silent worker is taken for dead.
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

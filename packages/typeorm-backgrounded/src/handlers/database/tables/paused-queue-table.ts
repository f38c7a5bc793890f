import type { EntitySchema } from 'typeorm'
import { columnTypes } from '../../../database/column-types'
import { tableEntity } from '../../../database/table-entity'

/** A queue that no worker claims from until it is resumed. */
export class PausedQueue {
  source!: string
  queue!: string
}

export function pauseTable(driver: string): EntitySchema<PausedQueue> {
  const { source, name } = columnTypes(driver)
  return tableEntity(PausedQueue, {
    name: 'BackgroundedPause',
    tableName: 'backgrounded_pauses',
    columns: { source: { ...source, primary: true }, queue: { ...name, primary: true } },
  })
}

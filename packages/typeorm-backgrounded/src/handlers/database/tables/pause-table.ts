import type { EntitySchema } from 'typeorm'
import { columnTypes } from '../../../column-types'
import { tableEntity } from '../../../table-entity'

/** A queue that nobody claims from for now. */
export class BackgroundedPause {
  source!: string
  queue!: string
}

export function pauseTable(driver: string): EntitySchema<BackgroundedPause> {
  const { source, name } = columnTypes(driver)
  return tableEntity(BackgroundedPause, {
    name: 'BackgroundedPause',
    tableName: 'backgrounded_pauses',
    columns: { source: { ...source, primary: true }, queue: { ...name, primary: true } },
  })
}

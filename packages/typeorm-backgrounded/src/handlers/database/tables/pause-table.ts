import { EntitySchema } from 'typeorm'
import { COLUMN_TYPES } from '../../../column-types'
import type { Dialect } from '../../../dialect'

/** A queue that nobody claims from for now. */
export class BackgroundedPause {
  source!: string
  queue!: string
}

export function pauseTable(dialect: Dialect): EntitySchema<BackgroundedPause> {
  const { source, name } = COLUMN_TYPES[dialect]
  return new EntitySchema<BackgroundedPause>({
    name: 'BackgroundedPause',
    target: BackgroundedPause,
    tableName: 'backgrounded_pauses',
    columns: { source: { ...source, primary: true }, queue: { ...name, primary: true } },
  })
}

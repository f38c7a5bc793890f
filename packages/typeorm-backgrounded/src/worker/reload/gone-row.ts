import { RowMissingError } from '../../errors'
import type { JsonObject } from '../../job/json'

/**
 * The row of a job, which must still be there.
 * @throws RowMissingError, with which `onMissing` decides on the job
 */
export function rowOfJob(row: object | undefined, entity: string, key: JsonObject): object {
  if (!row) throw new RowMissingError(`${entity} ${JSON.stringify(key)} is gone.`)
  return row
}

/** The same for a row among the arguments, at `pointer`. */
export function rowOfArgument<Row extends object>(
  row: Row | undefined,
  entity: string,
  key: JsonObject,
  pointer: string,
): Row {
  if (!row) throw new RowMissingError(`${entity} ${JSON.stringify(key)}, the argument at ${pointer}, is gone.`)
  return row
}

import type { NewRow } from '../job-row'
import type { BackgroundedJob } from '../tables/job-table'

/** The columns that a call writes, in the order in which the servers' statements have them. */
export const INSERTED = [
  'id',
  'source',
  'entity',
  'key',
  'method',
  'args',
  'types',
  'queue',
  'priority',
  'runAt',
  'enqueuedAt',
  'meta',
  'attempts',
] as const satisfies readonly (keyof BackgroundedJob)[]

type Name = 'entity' | 'method' | 'queue'

/** The values of a row in that order. Its time is two values, because the server adds the delay to its own time. */
export function insertedValues<AsName>(
  row: Omit<NewRow, Name> & Readonly<Record<Name, AsName>>,
): (AsName | string | number | null)[] {
  const { id, source, entity, key, method, args, types, queue, priority, runAt, delay, enqueuedAt, meta, attempts } =
    row
  return [id, source, entity, key, method, args, types, queue, priority, runAt, delay, enqueuedAt, meta, attempts]
}

import { MalformedJobError } from '../../errors'
import type { JsonObject } from '../json'

/** How an entity among the arguments is stored. */
export interface StoredReference {
  readonly entity: string
  readonly key: JsonObject
}

/** @throws MalformedJobError */
export function readReference(json: unknown, pointer: string): StoredReference {
  const { entity, key } = (json ?? {}) as { entity?: unknown; key?: unknown }
  if (typeof entity !== 'string' || typeof key !== 'object' || key === null || Array.isArray(key)) {
    throw new MalformedJobError(`The job's args hold no entity reference at "${pointer}".`)
  }
  return { entity, key: key as JsonObject }
}

import { createHash } from 'node:crypto'
import type { JsonObject } from './json'
import { keyText } from './key-codec'

/** The field of a job's `meta` that keeps the chain. */
const FIELD = 'afterCommit'
/** How many links a job remembers. */
const LONGEST = 100
/** In characters; a longer link is kept as its hash. */
const LONGEST_LINK = 200

/**
 * The links that led to a job, oldest first. A link is an after-commit method and the row that it ran on; it led to the
 * next one because its job wrote that row.
 */
export type EventChain = readonly string[]

/** The link of one method on one row. */
export function linkOf(source: string, entity: string, key: JsonObject, method: string): string {
  const link = JSON.stringify([source, entity, keyText(key), method])
  return link.length <= LONGEST_LINK ? link : createHash('sha256').update(link).digest('base64')
}

/** The chain that led to a job. Its `meta` may be forged. */
export function chainOf(meta: JsonObject): EventChain {
  const chain = meta[FIELD]
  if (!Array.isArray(chain)) return []
  return chain.filter((link) => typeof link === 'string').slice(-LONGEST)
}

/** The `meta` of a job that this chain led to. */
export function metaOf(chain: EventChain): JsonObject {
  return chain.length > 0 ? { [FIELD]: chain.slice(-LONGEST) } : {}
}

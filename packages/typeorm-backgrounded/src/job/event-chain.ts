import { createHash } from 'node:crypto'
import type { JsonObject } from './json'
import { keyText } from './key-codec'

/** Where a job's `meta` keeps the chain. */
const FIELD = 'afterCommit'
/** How many links are remembered. */
const LONGEST = 100
const LONGEST_LINK = 200

/** The after-commit methods whose jobs led to one another by what they wrote, oldest first, each with its row. */
export type EventChain = readonly string[]

/** A method of a row. */
export function linkOf(source: string, entity: string, key: JsonObject, method: string): string {
  const link = JSON.stringify([source, entity, keyText(key), method])
  return link.length <= LONGEST_LINK ? link : createHash('sha256').update(link).digest('base64')
}

/** The chain that led to a job, whoever wrote its `meta`. */
export function chainOf(meta: JsonObject): EventChain {
  const chain = meta[FIELD]
  if (!Array.isArray(chain)) return []
  return chain.filter((link) => typeof link === 'string').slice(-LONGEST)
}

/** What a job's `meta` keeps of the chain that led to it. */
export function metaOf(chain: EventChain): JsonObject {
  return chain.length > 0 ? { [FIELD]: chain.slice(-LONGEST) } : {}
}

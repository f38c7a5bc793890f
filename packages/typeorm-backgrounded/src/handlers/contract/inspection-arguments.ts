import { types } from 'node:util'
import { InvalidOptionError } from '../../errors'
import { milliseconds } from '../../job/duration'
import { isJsonObject } from '../../job/json'
import { isPlainObject } from '../../job/known-options'
import { capped, valueText } from '../../reporting/safe-error'
import type { JobQuery, JobState } from './inspectable'

/**
 * Checks what people give to an inspection, by hand and from requests. On MariaDB and MySQL, a number in place of a text
 * would match every text, and a misspelt member would be no condition at all.
 */

export const JOB_STATES: readonly JobState[] = ['waiting', 'running', 'completed', 'failed', 'discarded']

const QUERY = ['queue', 'entity', 'key', 'method', 'state', 'olderThan', 'newerThan', 'limit']

/** @throws InvalidOptionError */
export function checkedQuery(query: JobQuery = {}): JobQuery {
  checkMembers(query, QUERY, 'find')
  const { queue, entity, method, key, state, limit, olderThan, newerThan } = query
  for (const [name, value] of Object.entries({ queue, entity, method })) {
    if (value !== undefined && typeof value !== 'string') throw refused(`find: ${name}`, value, 'give a text')
  }
  if (key !== undefined) checkKey(key)
  checkState(state, 'find')
  if (limit !== undefined && limit !== Infinity && !(Number.isInteger(limit) && limit >= 0))
    throw refused('find: limit', limit, 'give a whole number, 0 or more')
  if (olderThan !== undefined) milliseconds(olderThan, 'find: olderThan')
  if (newerThan !== undefined) milliseconds(newerThan, 'find: newerThan')
  return query
}

/** @throws InvalidOptionError */
export function checkedIds(ids: readonly string[], of: 'retry' | 'discard'): readonly string[] {
  if (!Array.isArray(ids)) throw refused(`${of}: ids`, ids, 'give a list of the ids of jobs')
  const index = Array.from(ids).findIndex((id) => typeof id !== 'string')
  if (index >= 0) throw refused(`${of}: ids[${index}]`, ids[index], 'the id of a job is a text')
  return ids
}

/** @throws InvalidOptionError */
export function checkedQueue(queue: string, of: 'pause' | 'resume'): string {
  if (typeof queue === 'string' && queue !== '') return queue
  throw refused(`${of}: queue`, queue, 'give the name of a queue')
}

/** @throws InvalidOptionError */
export function checkedPrune(query: { before: Date; state?: JobState }): { before: number; state?: JobState } {
  checkMembers(query, ['before', 'state'], 'prune')
  const { before, state } = query
  checkState(state, 'prune')
  const time = types.isDate(before) ? before.getTime() : NaN
  if (Number.isNaN(time)) throw refused('prune: before', before, 'give a valid Date')
  return { before: time, state }
}

function checkMembers(query: object, known: readonly string[], of: string): void {
  if (!isPlainObject(query)) throw refused(`${of}: the query`, query, `give an object with some of ${known.join(', ')}`)
  const unknown = Object.keys(query).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new InvalidOptionError(
      `${of}: there is no option "${capped(unknown, 100)}"; the options are ${known.join(', ')}.`,
    )
}

function checkKey(key: unknown): void {
  if (!isJsonObject(key)) throw refused('find: key', key, 'give an object with the whole key, as { id: 5 }')
  for (const [path, value] of Object.entries(key)) {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw refused(
        `find: the key's ${capped(path, 100)}`,
        value,
        'give it as jobs store it: a text, a number or a boolean',
      )
  }
}

function checkState(state: unknown, of: string): void {
  if (state === undefined || JOB_STATES.includes(state as JobState)) return
  throw refused(`${of}: state`, state, `give one of ${JOB_STATES.join(', ')}`)
}

function refused(what: string, value: unknown, fix: string): InvalidOptionError {
  return new InvalidOptionError(`${what} is ${capped(valueText(value), 100)}: ${fix}.`)
}

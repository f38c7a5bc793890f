import { MalformedJobError } from '../errors'
import { errorMessage } from '../reporting/safe-error'
import { textOf } from '../reporting/text-of'
import { isJsonObject, type JsonObject, type JsonValue } from './json'
import { LARGEST_PAYLOAD } from './largest-payload'

/** The values of a primary key as the database stores them, by property path: `{ id: 5 }`, `{ 'at.x': 1, 'at.y': 2 }`. */
export type JobKey = { [propertyPath: string]: string | number | boolean }

/** A job as handlers store it: plain JSON, version 1. */
export interface JobEnvelope {
  readonly v: 1
  /** UUIDv7. */
  readonly id: string
  /** Name of the data source that the job belongs to. */
  readonly source: string
  readonly entity: string
  /** Absent for a static method. */
  readonly key?: JobKey
  readonly method: string
  readonly args: JsonValue[]
  /** The types of the values in `args` that JSON lacks, by JSON pointer (RFC 6901): `{ '/0/at': 'Date' }`. */
  readonly types?: Readonly<Record<string, string>>
  readonly queue: string
  /** −10 … 10, lower first. */
  readonly priority: number
  /** ISO time by the caller's clock. */
  readonly enqueuedAt: string
  /** ISO time by the caller's clock; the same as `enqueuedAt` for a job that is due at once. */
  readonly runAt: string
  /** ms after the store's own "now". Set when the caller gave a delay; it is then used instead of `runAt`. */
  readonly delay?: number
  /** The chain of after-commit events that led to the job; room for traces and context. */
  readonly meta: JsonObject
  /** Set only if the call overrode the method's own option. */
  readonly attempts?: number
}

/** When a job is due, in ms since the epoch. `now` is the store's own time when it writes the job. */
export function dueTime(job: JobEnvelope, now: number): number {
  if (job.delay !== undefined) return now + job.delay
  return job.runAt === job.enqueuedAt ? now : Date.parse(job.runAt)
}

/** The part of a stored job that a worker needs; everything else has a default. */
export interface ReceivedJob {
  readonly entity: string
  readonly key?: JsonObject
  readonly method: string
  readonly args: JsonValue[]
  /** Absent when `args` are plain JSON values. */
  readonly types?: Readonly<Record<string, string>>
  readonly source?: string
  readonly attempts?: number
  readonly enqueuedAt?: number
  readonly meta: JsonObject
}

/**
 * Reads a job that anybody may have written: another version of this library, a program in another language, a forger.
 * `key`, `args`, `types` and `meta` may be JSON text, as SQL columns hold them.
 * @throws MalformedJobError
 */
export function readEnvelope(stored: unknown): ReceivedJob {
  if (!isJsonObject(stored)) throw new MalformedJobError(`The job is ${kindOf(stored)} instead of an object.`)
  if (stored.v !== undefined && stored.v !== null && stored.v !== 1) {
    throw new MalformedJobError(`The job has envelope version ${textOf(stored.v)}, and this worker reads version 1.`)
  }
  return {
    entity: readName(stored, 'entity'),
    method: readName(stored, 'method'),
    key: readObject(stored, 'key'),
    args: readArray(stored, 'args'),
    types: readTypes(stored),
    source: typeof stored.source === 'string' ? stored.source : undefined,
    attempts: readAttempts(stored),
    enqueuedAt: readTime(stored, 'enqueuedAt'),
    meta: readObject(stored, 'meta') ?? {},
  }
}

/** The names of the properties that every object has, such as `constructor`. */
const EVERY_OBJECTS: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

function readName(stored: JsonObject, field: string): string {
  const name = stored[field]
  if (typeof name !== 'string' || name === '') {
    throw new MalformedJobError(`The job's ${field} is ${kindOf(name)} instead of a name.`)
  }
  if (EVERY_OBJECTS.has(name)) throw new MalformedJobError(`A job may not name "${name}" as its ${field}.`)
  return name
}

function readObject(stored: JsonObject, field: string): JsonObject | undefined {
  const value = parsed(stored, field)
  if (value === undefined || value === null) return undefined
  if (!isJsonObject(value)) throw new MalformedJobError(`The job's ${field} is ${kindOf(value)} instead of an object.`)
  return value
}

function readArray(stored: JsonObject, field: string): JsonValue[] {
  const value = parsed(stored, field)
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new MalformedJobError(`The job's ${field} is ${kindOf(value)} instead of an array.`)
  return value
}

function readTypes(stored: JsonObject): Record<string, string> | undefined {
  const types = readObject(stored, 'types')
  if (!types) return undefined
  const entries = Object.entries(types)
  for (const [pointer, type] of entries) {
    if (typeof type !== 'string') throw new MalformedJobError(`The job's types hold ${kindOf(type)} at "${pointer}".`)
  }
  return entries.length > 0 ? (types as Record<string, string>) : undefined
}

function readAttempts(stored: JsonObject): number | undefined {
  const attempts = stored.attempts
  if (attempts === undefined || attempts === null) return undefined
  if (typeof attempts === 'number' && Number.isInteger(attempts) && attempts >= 1) return attempts
  throw new MalformedJobError(`The job's attempts are ${textOf(attempts)} instead of a whole number of 1 or more.`)
}

function readTime(stored: JsonObject, field: string): number | undefined {
  const value = stored[field]
  const time = typeof value === 'string' ? Date.parse(value) : value
  return typeof time === 'number' && Number.isFinite(time) ? time : undefined
}

function parsed(stored: JsonObject, field: string): JsonValue | undefined {
  const value = stored[field]
  if (typeof value !== 'string') return value
  if (value === '[]') return [] // the arguments of most calls
  if (value.length > LARGEST_PAYLOAD)
    throw new MalformedJobError(
      `The job's ${field} value has ${value.length} characters, and at most ${LARGEST_PAYLOAD} are allowed.`,
    )
  try {
    return JSON.parse(value) as JsonValue
  } catch (error) {
    throw new MalformedJobError(`The job's ${field} value is not JSON: ${errorMessage(error)}`, { cause: error })
  }
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'missing'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

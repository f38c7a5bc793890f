import { MalformedJobError, PayloadTooLargeError } from '../errors'
import { asciiJson } from '../job/ascii-json'
import type { JobEnvelope } from '../job/envelope'
import { isJsonObject } from '../job/json'
import { LARGEST_PAYLOAD } from '../job/largest-payload'
import { textOf } from '../reporting/text-of'

/** 100 years, in ms. */
const LONGEST_DELAY = 100 * 365 * 24 * 60 * 60 * 1000

/** Turns a job into the payload of a row, or returns the error that says why it cannot be stored. */
export function payloadOf(job: JobEnvelope): string | PayloadTooLargeError {
  const payload = asciiJson(job)
  const bytes = Buffer.byteLength(payload)
  return bytes <= LARGEST_PAYLOAD
    ? payload
    : PayloadTooLargeError.of(`${job.entity}.${job.method}`, bytes, LARGEST_PAYLOAD)
}

/** The payload of a job that is written `ms` after its call. */
export function payloadWithElapsedDelay({ job, payload }: { job: JobEnvelope; payload: string }, ms: number): string {
  return job.delay === undefined ? payload : asciiJson(withElapsedDelay(job, Math.round(ms)))
}

/**
 * Reads the job of a row. A row that was written by hand may lack members, which get their defaults.
 * @throws MalformedJobError for a member of the wrong type
 */
export function jobOf(id: string, payload: string, source: string): JobEnvelope {
  const stored = parsed(payload)
  if (!isJsonObject(stored)) throw new MalformedJobError('The row does not hold a JSON object.')
  const given = Object.fromEntries(Object.entries(stored).filter(([, value]) => value !== null))
  for (const [member, isFine] of Object.entries(MEMBERS)) {
    const value = given[member]
    if (isFine(value)) continue
    throw new MalformedJobError(`Its ${member} is ${textOf(value)}, which is not what a job has there.`)
  }
  const now = new Date().toISOString()
  const enqueuedAt = given.enqueuedAt ?? now
  const defaults = { v: 1, source, queue: 'default', args: [], priority: 0, enqueuedAt, runAt: enqueuedAt, meta: {} }
  return { ...defaults, ...given, id } as unknown as JobEnvelope
}

const isName = (value: unknown) => typeof value === 'string' && value !== ''
const isAbsent = (value: unknown) => value === undefined
const isTime = (value: unknown) => isAbsent(value) || (typeof value === 'string' && !Number.isNaN(Date.parse(value)))
const isWhole = (least: number, most: number) => (value: unknown) =>
  isAbsent(value) || (Number.isInteger(value) && Number(value) >= least && Number(value) <= most)
const isObject = (value: unknown) => isAbsent(value) || isJsonObject(value)

const MEMBERS: Readonly<Record<string, (value: unknown) => boolean>> = {
  entity: isName,
  method: isName,
  source: (value) => isAbsent(value) || isName(value),
  queue: (value) => isAbsent(value) || isName(value),
  key: isObject,
  args: (value) => isAbsent(value) || Array.isArray(value),
  types: isObject,
  meta: isObject,
  priority: isWhole(-10, 10),
  attempts: isWhole(1, Number.MAX_SAFE_INTEGER),
  enqueuedAt: isTime,
  runAt: isTime,
  delay: (value) => isAbsent(value) || (typeof value === 'number' && value >= 0 && value <= LONGEST_DELAY),
}

/** Subtracts the time since the call from a delay, because a delay counts from the call. */
export function withElapsedDelay(job: JobEnvelope, age: number): JobEnvelope {
  return job.delay === undefined ? job : { ...job, delay: Math.ceil(Math.max(0, job.delay - age)) }
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return undefined
  }
}

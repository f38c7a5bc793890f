import { asciiJson } from '../../job/ascii-json'
import { dueTime, type JobEnvelope } from '../../job/envelope'
import { isJsonObject } from '../../job/json'
import type { InspectedJob, JobState } from '../contract/inspectable'
import { wholeNumber, type ClaimedRecord } from './scripts/claimed'
import type { NewJob } from './scripts/enqueue'
import type { StoredRecord } from './scripts/inspect'

/** The largest time in JavaScript. */
const LATEST = 8.64e15

/**
 * A job as Bull stores it. Bull keeps the id, the queue and the time of the enqueue by itself, and the source is
 * part of the queue's name: `data` has only the rest.
 */
export function recordOf(job: JobEnvelope): NewJob {
  const { entity, key, method, args, types, meta, attempts } = job
  const data = asciiJson({
    entity,
    key,
    method,
    args,
    types,
    meta: Object.keys(meta ?? {}).length > 0 ? meta : undefined,
    attempts,
  })
  return { queue: job.queue, id: job.id, name: `${entity}.${method}`, data, ...due(job) }
}

/** A delay counts from the time by Redis's clock; a time to run at is stored as it is. */
function due(job: JobEnvelope): Pick<NewJob, 'delay' | 'runAt'> {
  if (job.delay !== undefined) return { delay: job.delay }
  return job.runAt === job.enqueuedAt ? {} : { runAt: dueTime(job, 0) }
}

/** The envelope of a claimed job. It is unchecked, because anyone may have written it. */
export function envelopeOf({ id, queue, data, opts, timestamp }: ClaimedRecord): unknown {
  const stored = parsed(data)
  if (!isJsonObject(stored)) return stored
  return { enqueuedAt: timestamp, attempts: attemptsOf(opts), ...stored, id, queue }
}

/** The envelope of a stored job, as far as it can be shown. It is unchecked, because anyone may have written it. */
export function inspectedJob(
  { id, data, opts, timestamp, delay, attemptsMade, stacktrace, failedReason }: StoredRecord,
  { state, queue, source }: { state: JobState; queue: string; source: string },
): InspectedJob {
  const stored = parsed(data)
  const enqueuedAt = wholeNumber(timestamp) ?? 0
  const attempts = attemptsOf(opts)
  const defaults = { args: [], priority: 0, enqueuedAt: iso(enqueuedAt), meta: {}, ...(attempts && { attempts }) }
  const envelope = {
    v: 1,
    source,
    ...defaults,
    runAt: iso(enqueuedAt + (wholeNumber(delay) ?? 0)),
    ...(isJsonObject(stored) ? stored : {}),
    id,
    queue,
  } as unknown as JobEnvelope
  const stacks = stacktrace === undefined ? undefined : parsed(stacktrace)
  const stack: unknown = Array.isArray(stacks) ? stacks[0] : undefined
  const error = typeof stack === 'string' ? stack : failedReason
  return { id, state, envelope, attempt: wholeNumber(attemptsMade) ?? 0, error }
}

function iso(time: number): string {
  return new Date(Math.min(time, LATEST)).toISOString()
}

/** Bull's own `attempts` of a job that Bull has added. 1 is Bull's default and counts as not given. */
function attemptsOf(opts: string | undefined): number | undefined {
  const options = opts === undefined ? undefined : parsed(opts)
  const attempts = isJsonObject(options) ? options.attempts : undefined
  return Number.isSafeInteger(attempts) && (attempts as number) > 1 ? (attempts as number) : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

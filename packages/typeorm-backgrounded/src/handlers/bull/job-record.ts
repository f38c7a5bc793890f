import { dueTime, type JobEnvelope } from '../../job/envelope'
import { isJsonObject } from '../../job/json'
import type { NewJob } from './scripts/enqueue'
import type { ClaimedRecord } from './scripts/claimed'

/**
 * A job as Bull stores it. Bull keeps the id, the queue and the time of the enqueue by itself, and the source is
 * part of the queue's name: `data` has only the rest.
 */
export function recordOf(job: JobEnvelope): NewJob {
  const { entity, key, method, args, types, meta, attempts } = job
  const data = JSON.stringify({
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

/** A delay counts from Redis's own now, and a moment is a moment. */
function due(job: JobEnvelope): Pick<NewJob, 'delay' | 'runAt'> {
  if (job.delay !== undefined) return { delay: job.delay }
  return job.runAt === job.enqueuedAt ? {} : { runAt: dueTime(job, 0) }
}

/** What a worker claimed, as an envelope: unchecked, since anybody may have written it. */
export function envelopeOf({ id, queue, data, opts, timestamp }: ClaimedRecord): unknown {
  const stored = parsed(data)
  if (!isJsonObject(stored)) return stored
  return { enqueuedAt: timestamp, attempts: attemptsOf(opts), ...stored, id, queue }
}

/** A job that was added with Bull's own `attempts` has them; Bull writes 1 where nobody asked. */
function attemptsOf(opts: string | undefined): number | undefined {
  const options = opts === undefined ? undefined : parsed(opts)
  const attempts = isJsonObject(options) ? options.attempts : undefined
  return typeof attempts === 'number' && attempts > 1 ? attempts : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

import { PayloadTooLargeError } from '../../errors'
import { asciiJson } from '../../job/ascii-json'
import type { JobEnvelope } from '../../job/envelope'
import { isJsonObject } from '../../job/json'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'

/** A job as a row keeps it, or why it cannot. */
export function payloadOf(job: JobEnvelope): string | PayloadTooLargeError {
  const payload = asciiJson(job)
  const bytes = Buffer.byteLength(payload)
  return bytes <= LARGEST_PAYLOAD
    ? payload
    : PayloadTooLargeError.of(`${job.entity}.${job.method}`, bytes, LARGEST_PAYLOAD)
}

/** What a row keeps of a job that is written `ms` after its call. */
export function payloadAfter({ job, payload }: { job: JobEnvelope; payload: string }, ms: number): string {
  return job.delay === undefined ? payload : asciiJson(aged(job, Math.round(ms)))
}

/** What a row holds, with the defaults of a job that was written by hand. Nothing if it is no object at all. */
export function jobOf(id: string, payload: string, source: string): JobEnvelope | undefined {
  const stored = parsed(payload)
  if (!isJsonObject(stored)) return undefined
  const now = new Date().toISOString()
  const queue = typeof stored.queue === 'string' ? stored.queue : 'default'
  const defaults = { v: 1, source, args: [], priority: 0, enqueuedAt: now, runAt: stored.enqueuedAt ?? now, meta: {} }
  return { ...defaults, ...stored, id, queue } as unknown as JobEnvelope
}

/** A delay counts from the call, however long the job has waited in the outbox. */
export function aged(job: JobEnvelope, age: number): JobEnvelope {
  return job.delay === undefined ? job : { ...job, delay: Math.max(0, job.delay - age) }
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return undefined
  }
}

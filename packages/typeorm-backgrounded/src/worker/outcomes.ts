import { isBusyError, isConnectionError, isReadOnlyError } from '../database/errors'
import { isBackgroundedError } from '../errors'
import type { ClaimedJob } from '../handlers/contract/consumable'
import type { Outcome } from '../handlers/contract/outcome'
import { backoffDelay, defaultBackoff } from '../job/backoff'
import { errorMessage } from '../reporting/safe-error'
import { textOf } from '../reporting/text-of'
import { snoozeDelay, thrownOutcome } from './discard-and-snooze'
import type { Run } from './run'

const SECOND = 1000
const LONGEST_RELEASE = 5 * 60 * SECOND
const UNKNOWN_FAILS_AFTER = 7 * 24 * 60 * 60 * SECOND

/** Errors after which no later attempt would load the row either. */
const FINAL_LOAD_ERRORS = ['MALFORMED_JOB', 'INVALID_KEY', 'ROW_CHANGED_CLASS'] as const

/** What becomes of a job that cannot be read, or that this worker does not know. */
export function outcomeOfReading(job: ClaimedJob, error: unknown, now: number): Outcome {
  return isBackgroundedError(error, 'UNKNOWN_METHOD') ? releaseUnknown(job, error, now) : { state: 'failed', error }
}

/** What becomes of a job whose row or arguments were not loaded. */
export function outcomeOfLoading(run: Run, error: unknown, now: number): Outcome {
  if (isBackgroundedError(error, 'ROW_MISSING')) return outcomeOfMissing(run, error)
  if (isBackgroundedError(error, 'UNKNOWN_METHOD')) return releaseUnknown(run.job, error, now)
  if (isBackgroundedError(error, ...FINAL_LOAD_ERRORS)) return { state: 'failed', error }
  if (isConnectionError(error) || isBusyError(error) || isReadOnlyError(error)) return release(run.job, error, now)
  return retryOrFail(run, error)
}

/** Releases a job for a newer worker, for up to a week, because a deploy may be slow. */
function releaseUnknown(job: ClaimedJob, error: unknown, now: number): Outcome {
  const waited = now - releasedSince(job, now)
  return waited >= UNKNOWN_FAILS_AFTER ? { state: 'failed', error } : release(job, error, now)
}

/** Releases a job for as long as it has waited already, so that the delay doubles without a counter. */
function release(job: ClaimedJob, error: unknown, now: number): Outcome {
  const since = releasedSince(job, now)
  const delay = Math.min(Math.max(now - since, SECOND), LONGEST_RELEASE)
  return { state: 'released', delay, reason: errorMessage(error), since, error }
}

/** Checks a time, because anyone may have written any time into the store. */
function releasedSince({ releasedSince: since }: ClaimedJob, now: number): number {
  const isTime = typeof since === 'number' && since >= 0 && since <= now
  return isTime ? Math.round(since) : now
}

/** What becomes of a job whose method has thrown. */
export function outcomeOfMethod(run: Run, error: unknown): Outcome {
  const outcome = thrownOutcome(error)
  if (outcome === 'discard') return { state: 'discarded', reason: errorMessage(error) }
  if (outcome === 'snooze') return { state: 'released', delay: snoozeDelay(error), reason: errorMessage(error) }
  if (isStopping(run.job)) {
    return { state: 'released', delay: 0, reason: 'The worker stopped in the middle of the job.' }
  }
  return retryOrFail(run, error)
}

function isStopping({ signal }: ClaimedJob): boolean {
  return signal?.aborted === true && isBackgroundedError(signal.reason, 'WORKER_STOPPING')
}

function outcomeOfMissing(run: Run, error: Error): Outcome {
  switch (run.method.options.onMissing) {
    case 'discard':
      return { state: 'discarded', reason: error.message }
    case 'fail':
      return { state: 'failed', error }
    case 'retry':
      return retryOrFail(run, error)
  }
}

/** Another attempt if there is one left. */
export function retryOrFail({ job, method, summary }: Run, error: unknown): Outcome {
  // In this form, an attempt that is not a number ends the job too.
  if (!(job.attempt < summary.attempts)) return { state: 'failed', error }
  const { backoff } = method.options
  const attemptsLeft = summary.attempts - job.attempt
  try {
    const delay = backoff === undefined ? defaultBackoff(job.attempt) : backoffDelay(backoff, job.attempt, error)
    return { state: 'retried', delay, error, attemptsLeft }
  } catch (cause) {
    const problem = new Error(`The backoff function failed: ${textOf(cause)}`, { cause: error })
    return { state: 'retried', delay: defaultBackoff(job.attempt), error: problem, attemptsLeft }
  }
}

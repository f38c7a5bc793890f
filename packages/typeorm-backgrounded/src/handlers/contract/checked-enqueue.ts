import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import { attempt, textOf } from '../../reporting/text-of'
import type { EnqueueResult, Handler } from './handler'

const STATES: ReadonlySet<unknown> = new Set<EnqueueResult['state']>([
  'enqueued',
  'duplicate',
  'performed',
  'deferred',
  'failed',
])

/** A handler has answered with something that is no result, so that nobody knows what became of the job. */
export class UnsoundResultError extends TypeError {}

/** The handler's `enqueue`, with a result for each job, whatever a handler of the application returns. */
export async function enqueueChecked(
  handler: Handler,
  jobs: readonly JobEnvelope[],
  transaction?: QueryRunner,
): Promise<readonly EnqueueResult[]> {
  const results: unknown = await handler.enqueue(jobs, transaction)
  try {
    return checkedResults(results, jobs.length, handler)
  } catch (error) {
    return jobs.map(() => ({ state: 'failed', error })) // it may have stored them, so they are not sent again
  }
}

/**
 * The results, with failures in place of those that are none.
 * @throws UnsoundResultError unless there is one for each job
 */
export function checkedResults(results: unknown, jobs: number, { name }: Handler): readonly EnqueueResult[] {
  const isOnePerJob = attempt(() => Array.isArray(results) && results.length === jobs, false)
  if (isOnePerJob) return Array.from(results as unknown[], (result) => checkedResult(result, name))
  throw new UnsoundResultError(
    `The ${name} handler gave ${textOf(results)} as the results of ${jobs} jobs: return an array with one result per job.`,
  )
}

function checkedResult(result: unknown, handler: string): EnqueueResult {
  const state = attempt(() => (result as EnqueueResult).state as unknown, undefined)
  if (STATES.has(state)) return result as EnqueueResult
  const error = new UnsoundResultError(
    `The ${handler} handler gave ${textOf(result)} as the result of a job: its state must be ${[...STATES].join(', ')}.`,
  )
  return { state: 'failed', error }
}

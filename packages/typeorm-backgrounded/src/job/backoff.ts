import { InvalidOptionError } from '../errors'
import { milliseconds, type Duration } from './duration'

/**
 * How long a failed job waits before its next attempt: milliseconds, a text such as `'30s'`, a list with one delay per
 * attempt (the last one repeats), or a function of the number of the failed attempt (the first is 1) and its error.
 */
export type Backoff = Duration | readonly Duration[] | ((attempt: number, error: unknown) => Duration)

const JITTER = 0.15

/** attempt⁴ + 2 seconds, plus up to 15 % at random, so that jobs that failed together do not all return together. */
export function defaultBackoff(attempt: number): number {
  const delay = (attempt ** 4 + 2) * 1000
  return Math.round(delay * (1 + Math.random() * JITTER))
}

/** @returns the delay in ms after the failed `attempt` */
export function backoffDelay(backoff: Backoff, attempt: number, error: unknown): number {
  if (typeof backoff === 'function') return milliseconds(backoff(attempt, error), 'backoff')
  if (isList(backoff)) return milliseconds(backoff[Math.min(attempt, backoff.length) - 1], 'backoff')
  return milliseconds(backoff, 'backoff')
}

/** @throws InvalidOptionError */
export function checkBackoff(backoff: Backoff, subject: string): void {
  if (typeof backoff === 'function') return
  const list = isList(backoff) ? backoff : [backoff]
  if (list.length === 0) throw new InvalidOptionError(`${subject}: backoff is an empty list: give at least one delay.`)
  for (const delay of list) milliseconds(delay, `${subject}: backoff`)
}

function isList(backoff: Backoff): backoff is readonly Duration[] {
  return Array.isArray(backoff)
}

import { attempt, textOf } from '../../reporting/text-of'
import type { Outcome } from '../contract/outcome'

const LONGEST_DELAY = 100 * 365 * 24 * 60 * 60 * 1000

/** Returns the outcome itself when a store can apply it, and otherwise the closest outcome that a store can apply. */
export function soundOutcome(outcome: Outcome): Outcome {
  const sound = attempt((): Outcome | undefined => {
    switch (outcome.state) {
      case 'completed':
      case 'failed':
        return outcome
      case 'discarded':
        return typeof outcome.reason === 'string' ? outcome : { ...outcome, reason: textOf(outcome.reason) }
      case 'retried':
        return isDelay(outcome.delay) ? outcome : { ...outcome, delay: soundDelay(outcome.delay) }
      case 'released': {
        const { delay, reason, since } = outcome
        const isSound = isDelay(delay) && typeof reason === 'string' && (since === undefined || isTime(since))
        if (isSound) return outcome
        return {
          ...outcome,
          delay: soundDelay(delay),
          reason: textOf(reason),
          since: isTime(since) ? since : undefined,
        }
      }
    }
  }, undefined)
  return sound ?? notAnOutcome(outcome)
}

function isDelay(delay: unknown): boolean {
  return typeof delay === 'number' && delay >= 0 && delay <= LONGEST_DELAY
}

function soundDelay(delay: unknown): number {
  return typeof delay === 'number' && delay > 0 ? Math.min(delay, LONGEST_DELAY) : 0
}

function isTime(time: unknown): boolean {
  return typeof time === 'number' && time >= 0 && Number.isSafeInteger(Math.round(time))
}

function notAnOutcome(given: unknown): Outcome {
  return { state: 'failed', error: new TypeError(`The job's run gave ${textOf(given)} instead of an outcome.`) }
}

import { errorText, storableText } from '../../reporting/error-text'
import type { JobState } from '../contract/inspectable'
import type { Outcome } from '../contract/outcome'
import type { InFlightRow } from './claimed-row'

/** How the row of a job changes when the job has ended and its row is kept. */
export interface RowOutcome {
  readonly state: JobState
  /** ms from now until the job is due again. Null when it has ended. */
  readonly delay: number | null
  readonly error: string | null
  /** Null when it does not change. */
  readonly suspect: Suspicion | null
  /** Attempts to give back. */
  readonly giveBack: 0 | 1
  readonly releasedSince: number | null
}

/**
 * 1: its worker has died while it ran. 2: this has happened twice, or only one attempt is left, so it runs beside no other
 * suspect.
 */
export type Suspicion = 0 | 1 | 2

const LONGEST_DELAY = 100 * 365 * 24 * 60 * 60 * 1000

export function rowOutcomeOf(outcome: Outcome, job: InFlightRow): RowOutcome {
  switch (outcome.state) {
    case 'completed':
      return ended('completed', null)
    case 'failed':
      return ended('failed', errorText(outcome.error))
    case 'discarded':
      return ended('discarded', storableText(outcome.reason))
    case 'retried':
      return {
        ...dueAgain(outcome.delay),
        error: errorText(outcome.error),
        suspect: suspicionOf(job, outcome.attemptsLeft),
      }
    case 'released':
      return {
        ...dueAgain(outcome.delay),
        error: storableText(outcome.reason),
        giveBack: 1,
        releasedSince: outcome.since ?? null,
      }
  }
}

function suspicionOf({ died, claim }: InFlightRow, attemptsLeft = 1): Suspicion {
  if (!died) return 0
  return claim.suspect > 1 || attemptsLeft < 2 ? 2 : 1
}

function ended(state: JobState, error: string | null): RowOutcome {
  return { state, delay: null, error, suspect: null, giveBack: 0, releasedSince: null }
}

function dueAgain(delay: number): RowOutcome {
  const whole = Math.round(Math.min(Math.max(delay, 0), LONGEST_DELAY)) || 0
  return { state: 'waiting', delay: whole, error: null, suspect: null, giveBack: 0, releasedSince: null }
}

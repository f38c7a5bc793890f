import { errorText, storableText } from '../../reporting/error-text'
import { errorMessage } from '../../reporting/safe-error'
import type { Outcome } from '../contract/outcome'
import type { FinishedJob } from '../consumption/job-store'
import type { InFlightRecord } from './in-flight-records'
import type { StoredOutcome } from './scripts/acknowledge-and-claim'

/** What became of a job, as the script stores it. */
export function storedOutcomeOf({ job, outcome }: FinishedJob<InFlightRecord>): StoredOutcome {
  const { queue, id, token } = job.claim
  return { queue, id, token, died: job.died, ...fieldsOf(outcome) }
}

function fieldsOf(outcome: Outcome): Omit<StoredOutcome, 'queue' | 'id' | 'token'> {
  switch (outcome.state) {
    case 'completed':
      return { state: 'completed' }
    case 'retried': {
      const { delay, error, attemptsLeft = 1 } = outcome
      return { state: 'retried', delay, isLast: attemptsLeft < 2, ...errorOf(error) }
    }
    case 'failed':
      return { state: 'failed', ...errorOf(outcome.error) }
    case 'discarded':
      return { state: 'discarded', reason: storableText(outcome.reason) }
    case 'released':
      return { state: 'released', delay: outcome.delay, reason: storableText(outcome.reason), since: outcome.since }
  }
}

function errorOf(error: unknown): { reason: string; stacktrace: string } {
  const text = errorText(error)
  const [firstLine = text] = text.split('\n', 1)
  return { reason: storableText(errorMessage(error)) || firstLine, stacktrace: JSON.stringify([text]) }
}

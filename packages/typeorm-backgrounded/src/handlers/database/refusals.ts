import { runInHalves } from '../../concurrency/batcher'
import {
  isBusyError,
  isCancelledError,
  isConflictError,
  isConnectionError,
  isDefectError,
  isReadOnlyError,
} from '../../database/errors'
import { attempt } from '../../reporting/text-of'
import type { RowOutcome } from './row-outcome'

/** The database accepts no statement now, or none of this kind, whatever values it has. */
function isOutage(error: unknown): boolean {
  return (
    [isConnectionError, isBusyError, isConflictError, isCancelledError, isDefectError, isReadOnlyError].some((is) =>
      is(error),
    ) || /^SQLITE_(FULL|IOERR|NOMEM|CORRUPT|NOTADB|CANTOPEN)/.test(String(attempt(() => codeOf(error), '')))
  )
}

/** The database rejects this particular row or value. */
export function isRefusal(error: unknown): boolean {
  return !isOutage(error)
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/**
 * Runs `items` together. When the database refuses one of them, runs them in halves until that one is found.
 * @returns the answers, in order; undefined for an item that was `refused`
 * @throws an error that is not caused by an item
 */
export async function runApart<Item, Answer>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  refused: (item: Item, error: unknown) => void,
): Promise<(Answer | undefined)[]> {
  let outage: { readonly error: unknown } | undefined
  const failed = (item: Item, error: unknown) => {
    if (isRefusal(error)) refused(item, error)
    else outage ??= { error }
    return undefined
  }
  const answers = await runInHalves<Item, Answer | undefined>(items, run, failed, isOutage)
  if (outage) throw outage.error
  return answers
}

/** The same outcome with a text that every database accepts. */
export function plain(outcome: RowOutcome): RowOutcome {
  const error = outcome.error === null ? null : 'An error whose text the database does not take.'
  return { ...outcome, error, releasedSince: null }
}

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

/** The database takes no statement just now, or none of this kind: whatever is in it is not to blame. */
function isOutage(error: unknown): boolean {
  return (
    [isConnectionError, isBusyError, isConflictError, isCancelledError, isDefectError, isReadOnlyError].some((is) =>
      is(error),
    ) || /^SQLITE_(FULL|IOERR|NOMEM|CORRUPT|NOTADB|CANTOPEN)/.test(String(attempt(() => codeOf(error), '')))
  )
}

/** The database does not take this very row or value. */
export function isRefusal(error: unknown): boolean {
  return !isOutage(error)
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/**
 * Runs `items` together, and where the database refuses one of them, in halves until that one stands alone.
 * @returns the answers, in order; undefined for an item that was `refused`
 * @throws an error that no item is to blame for
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

/** The same end of a job in words that every database takes. */
export function plain(settlement: RowOutcome): RowOutcome {
  const error = settlement.error === null ? null : 'An error whose text the database does not take.'
  return { ...settlement, error, releasedSince: null }
}

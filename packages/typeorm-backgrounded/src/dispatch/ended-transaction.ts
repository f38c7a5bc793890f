import type { QueryRunner } from 'typeorm'
import { EnqueueError } from '../errors'

/**
 * Whether the runner was in a transaction when its connection was lost. The transaction is rolled back, without an
 * event.
 */
export function isLost(runner: QueryRunner): boolean {
  return runner.isReleased && runner.isTransactionActive
}

/**
 * Sent at once, the job would run although everything around it was rolled back.
 * @throws EnqueueError in a transaction whose connection was lost
 */
export function checkConnected(runner: QueryRunner): void {
  if (!isLost(runner)) return
  throw new EnqueueError(
    'The connection of this transaction was lost, or its query runner was released before its end, so what was done in it ' +
      'is rolled back: run the transaction again with rows that it loads itself, or pass { manager: null } to send the job anyway.',
  )
}

/**
 * How long after a rollback code that is still running inside the transaction's callback is refused, in ms. A timer or a
 * connection that was begun there keeps its scope for ever, and is none of the transaction's business later.
 */
const STRAGGLERS = 60_000

/**
 * Another branch of the same callback may still be running when one has failed.
 * @param rolledBackAt by `performance.now()`
 * @throws EnqueueError when the transaction around a call was rolled back a short time ago
 */
export function checkNotRolledBack(rolledBackAt: number | undefined): void {
  if (rolledBackAt === undefined || performance.now() - rolledBackAt > STRAGGLERS) return
  throw new EnqueueError(
    'The transaction around this call was rolled back before the call was made, so that the job would run although nothing ' +
      'of the transaction is there: wait for all that a transaction does before it ends, or pass { manager: null } to send the job anyway.',
  )
}

import type { QueryRunner } from 'typeorm'
import { EnqueueError } from '../errors'
import { isLost } from './open-transaction'

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

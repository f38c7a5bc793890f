import type { QueryRunner } from 'typeorm'
import { EnqueueError } from '../errors'
import { enqueueChecked } from '../handlers/contract/checked-enqueue'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import type { JobEnvelope } from '../job/envelope'
import type { Outbox } from '../outbox/outbox'
import { enqueueErrorFor } from './enqueue-reports'
import { isInHandmadeTransaction } from './detect-handmade'

/**
 * Writes jobs within a transaction that was begun with a statement. There is no event at its end, so the jobs must be in
 * the database: workers claim them there, or relays push them from the outbox.
 *
 * @returns one result per job, or undefined when the runner is not in such a transaction
 * @throws EnqueueError
 */
export async function writeInHandmade(
  { handler, outbox }: { readonly handler: Handler; readonly outbox?: Outbox },
  runner: QueryRunner,
  envelopes: readonly JobEnvelope[],
): Promise<readonly EnqueueResult[] | undefined> {
  try {
    const isInside = await isInHandmadeTransaction(runner)
    const canKeep = outbox !== undefined || handler.capabilities.transactional
    if (isInside === false || (isInside === undefined && !canKeep)) return undefined
    if (!canKeep) throw refused(handler)
    return await (outbox ? outbox.write(envelopes, runner) : enqueueChecked(handler, envelopes, runner))
  } catch (error) {
    throw enqueueErrorFor(envelopes[0] as JobEnvelope, error)
  }
}

function refused({ name }: Handler): EnqueueError {
  return new EnqueueError(
    `The manager of this call is in a transaction that was begun with a statement, whose end TypeORM does not ` +
      `tell the ${name} handler: begin it with queryRunner.startTransaction(), or pass { manager: null } to send the job now.`,
  )
}

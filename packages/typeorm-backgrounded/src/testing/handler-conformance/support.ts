import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { DataSource } from 'typeorm'
import { drain, settled } from '../../backgrounded'
import type { HandlerCapabilities } from '../../handlers/handler'
import type { JobEnvelope } from '../../job/envelope'
import type { ConformanceContext } from './conformance-case'

/** Why a handler with these capabilities cannot take part in a case. */
export const runsNothing = ({ consumes }: HandlerCapabilities) => (consumes === 'never' ? 'it runs no jobs' : undefined)
export const needsWorker = ({ consumes }: HandlerCapabilities) =>
  consumes === 'worker' ? undefined : 'it keeps no jobs for a worker'

/** What a case rolls back with. */
export class RollBack extends Error {}

/** Expects the transaction to end with it. */
export async function rolledBack(transaction: Promise<unknown>): Promise<void> {
  await assert.rejects(transaction, RollBack)
}

/** Delivers the deferred calls, and runs everything that is due. */
export async function settle(dataSource: DataSource): Promise<void> {
  await settled(dataSource)
  await drain(dataSource)
}

/** Puts jobs that no call could make beside a sound one, which must run. */
export async function forge({ record, handler }: ConformanceContext, ...changes: readonly object[]): Promise<void> {
  const { id } = await record('one')
  const now = new Date().toISOString()
  const sound = {
    v: 1,
    source: 'default',
    entity: 'ConformanceRecord',
    key: { id },
    method: 'note',
    args: [],
    queue: 'default',
    priority: 0,
    enqueuedAt: now,
    runAt: now,
    meta: {},
  }
  const jobs = [{}, ...changes].map((change) => ({ ...sound, ...change, id: randomUUID() }))
  await handler.enqueue(jobs as unknown as JobEnvelope[])
}

/** Polls until the condition holds. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const start = Date.now(); Date.now() - start < 10_000;) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('waited 10 s in vain')
}

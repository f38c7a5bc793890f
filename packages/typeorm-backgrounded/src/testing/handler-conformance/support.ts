import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { DataSource } from 'typeorm'
import { drain, settled } from '../../plugin/attach'
import type { Handler, HandlerCapabilities } from '../../handlers/contract/handler'
import type { Inspectable } from '../../handlers/contract/inspectable'
import type { JobEnvelope } from '../../job/envelope'
import type { ConformanceContext, Skip } from './conformance-case'
import { runs } from './model'

/** The reason why a handler with these capabilities cannot take part in a case, or undefined if it can. */
export const runsNothing = ({ consumes }: HandlerCapabilities) => (consumes === 'never' ? 'it runs no jobs' : undefined)
export const needsWorker = ({ consumes }: HandlerCapabilities) =>
  consumes === 'worker' ? undefined : 'it keeps no jobs for a worker'
export const needsDelay = (capabilities: HandlerCapabilities) =>
  needsWorker(capabilities) ?? (capabilities.honours.delay ? undefined : 'it has no delay')
export const needsInspection = (capabilities: HandlerCapabilities) =>
  needsWorker(capabilities) ?? (capabilities.inspects ? undefined : 'its jobs cannot be inspected')
export const needsDeadWorkers: Skip = (capabilities, { forgetsWorkers }) => {
  if (needsWorker(capabilities)) return needsWorker(capabilities)
  if (forgetsWorkers) return undefined
  return capabilities.inProcess ? 'its jobs die with their worker' : 'forgetWorkers is not given'
}

/** The handler, in a case that is skipped for handlers whose jobs cannot be inspected. */
export function inspectable({ handler }: ConformanceContext): Inspectable {
  return handler as Handler & Inspectable
}

/** The error with which a case rolls a transaction back. */
export class RollBack extends Error {}

/** Waits for the transaction, and expects that `RollBack` has ended it. */
export async function rolledBack(transaction: Promise<unknown>): Promise<void> {
  await assert.rejects(transaction, RollBack)
}

/** Delivers the deferred calls, and runs everything that is due. */
export async function deliverAndDrain(dataSource: DataSource): Promise<void> {
  await settled(dataSource)
  await drain(dataSource)
}

/** The first arguments of all runs so far, in order. */
export function firstArguments(): unknown[] {
  return runs.map(({ args }) => args[0])
}

export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}

/** A valid job on a new row, made without a call, with these changes. */
export async function envelope({ record }: ConformanceContext, changes: object = {}): Promise<JobEnvelope> {
  const { id } = await record('one')
  return envelopeFor(id, changes)
}

/** Enqueues a valid job, which must run, and one job for each of `changes`, which no call could have made. */
export async function forge({ record, handler }: ConformanceContext, ...changes: readonly object[]): Promise<void> {
  const { id } = await record('one')
  await handler.enqueue([{}, ...changes].map((change) => envelopeFor(id, change)))
}

function envelopeFor(id: number, changes: object): JobEnvelope {
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
  return { ...sound, ...changes, id: randomUUID() } as unknown as JobEnvelope
}

/** Polls until the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const start = Date.now(); Date.now() - start < 20_000;) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`waited 20 s in vain for ${condition.toString()}`)
}

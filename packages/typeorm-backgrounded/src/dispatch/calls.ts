import { BackgroundedError } from '../errors'
import type { JobEnvelope } from '../job/envelope'
import { setCallListener } from '../metadata/registry'
import type { CallOptions } from '../metadata/options'
import type { JobReceipt } from './job-receipt'
import type { Receiver } from './envelope-maker'
import { routeOf, type Route } from './transaction-of-call'

/**
 * One background call.
 * @throws before it returns its promise, where the call itself is wrong
 */
export function enqueueCall(
  receiver: Receiver,
  property: string,
  args: readonly unknown[],
  options?: CallOptions,
): Promise<JobReceipt> {
  let route: Route
  let envelope: JobEnvelope
  try {
    route = routeOf(receiver, options)
    envelope = route.dispatcher.envelopes.make(receiver, property, args, options)
  } catch (error) {
    throw withCallersLine(error, enqueueCall)
  }
  return route.dispatcher.submit(envelope, route)
}

/**
 * The same call for many rows, written together. Every call is checked before the first is sent.
 * @throws the first error, when some could not be enqueued
 */
export async function enqueueCalls(
  receivers: readonly Receiver[],
  property: string,
  args: readonly unknown[],
  options: CallOptions = {},
): Promise<JobReceipt[]> {
  const groups: { route: Route; envelopes: JobEnvelope[] }[] = []
  try {
    for (const receiver of receivers) {
      const route = routeOf(receiver, options)
      const envelope = route.dispatcher.envelopes.make(receiver, property, args, options)
      const last = groups.at(-1)
      if (last && last.route.dispatcher === route.dispatcher && last.route.transaction === route.transaction)
        last.envelopes.push(envelope)
      else groups.push({ route, envelopes: [envelope] })
    }
  } catch (error) {
    throw withCallersLine(error, enqueueCalls)
  }
  const receipts = await Promise.all(groups.map(({ route, envelopes }) => route.dispatcher.submitAll(envelopes, route)))
  return receipts.flat()
}

/** Begins the stack of an error at the call: V8 keeps ten lines, which the way through the arguments would use up. */
function withCallersLine(error: unknown, call: (...args: never[]) => unknown): unknown {
  if (error instanceof BackgroundedError) Error.captureStackTrace(error, call)
  return error
}

setCallListener((receiver, property, args) => enqueueCall(receiver, property, args))

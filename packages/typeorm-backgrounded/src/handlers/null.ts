import type { JobEnvelope } from '../job/envelope'
import { checkKnown } from '../job/known-options'
import type { EnqueueResult, Handler, HandlerCapabilities } from './contract/handler'

/** Drops every job, for environments that must not run any. Calls are checked and encoded all the same. */
export class NullHandler implements Handler {
  readonly name = 'null'
  readonly capabilities: HandlerCapabilities = {
    transactional: false,
    batches: false,
    honours: { delay: true, priority: true, keepCompleted: true },
    consumes: 'never',
    inspects: false,
    inProcess: true,
  }

  /** @throws InvalidOptionError for any option: it has none */
  constructor(options: Readonly<Record<string, never>> = {}) {
    checkKnown(options, [], 'NullHandler')
  }

  enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    return Promise.resolve(jobs.map(() => ({ state: 'enqueued' })))
  }
}

import { Batcher, runInHalves } from '../concurrency/batcher'
import { isConflictError, isConnectionError } from '../database/errors'
import { StoreUnavailableError } from '../errors'
import { enqueueChecked } from '../handlers/contract/checked-enqueue'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import type { JobEnvelope } from '../job/envelope'
import type { Outbox } from '../outbox/outbox'

/** How long a call may wait behind others that fail, in ms. */
const PATIENCE = 5_000

/** Gives jobs to the handler, in batches where it takes any, or to the outbox while the handler cannot be reached. */
export class HandlerCalls {
  private readonly batcher: Batcher<JobEnvelope, EnqueueResult>

  constructor(
    private readonly handler: Handler,
    private readonly outbox: Outbox | undefined,
  ) {
    this.batcher = new Batcher((jobs) => this.store(jobs))
  }

  send(envelope: JobEnvelope): Promise<EnqueueResult> {
    if (this.batches) return this.batcher.add(envelope)
    return this.store([envelope]).then(([result]) => result as EnqueueResult)
  }

  /** The same for several; results in order. */
  sendAll(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    if (!this.batches) return this.store(envelopes)
    return Promise.all(envelopes.map((envelope) => this.batcher.add(envelope)))
  }

  /** Resolves when nothing is on its way; never rejects. */
  idle(): Promise<void> {
    return this.batcher.idle()
  }

  /** Stores jobs in the outbox when the handler cannot be reached. */
  private async store(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const { outbox } = this
    const results = await this.storeInHandler(envelopes)
    this.shedLoad(results)
    const isUnreached = (result: EnqueueResult) => result.state === 'failed' && isConnectionError(result.error)
    if (!outbox || !results.some(isUnreached)) return results
    const unreached = envelopes.filter((_, index) => isUnreached(results[index] as EnqueueResult))
    const kept = await runInHalves(
      unreached,
      (some) => outbox.keep(some),
      (_, error): EnqueueResult => ({ state: 'failed', error }),
      isConnectionError,
    )
    return results.map((result) => (isUnreached(result) ? (kept.shift() as EnqueueResult) : result))
  }

  /** A job that fails does not keep the others from being sent. */
  private storeInHandler(envelopes: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const isHopeless = (error: unknown) => isConnectionError(error) || isConflictError(error)
    return runInHalves(
      envelopes,
      (some) => enqueueChecked(this.handler, some),
      (_, error) => ({ state: 'failed', error }),
      isHopeless,
    )
  }

  /** Rejects calls that wait behind a store that does not answer, so that each fails soon. */
  private shedLoad(results: readonly EnqueueResult[]): void {
    const [first] = results
    if (this.outbox || first?.state !== 'failed' || !isConnectionError(first.error)) return
    const error = new StoreUnavailableError(`The store of the ${this.handler.name} handler does not answer.`, {
      cause: first.error,
    })
    this.batcher.dismiss(PATIENCE, { state: 'failed', error })
  }

  private get batches(): boolean {
    return this.handler.capabilities.batches
  }
}

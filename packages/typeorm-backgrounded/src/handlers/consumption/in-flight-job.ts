import { LeaseLostError } from '../../errors'
import { LazyAbort } from '../../concurrency/lazy-abort'
import { textOf } from '../../reporting/text-of'
import type { PrefetchedRows } from '../contract/built-in'
import type { ClaimedJob } from '../contract/consumable'

/** What a store must return for each job that it claims. */
interface Claimed {
  readonly id: string
  readonly queue: string
  readonly attempt: number
  readonly releasedSince?: number | null
}

/**
 * A job that one worker has claimed, with the claim as its store knows it. A class, because a getter in an object literal
 * gives every object a hidden class of its own, which only a full garbage collection removes.
 */
export class InFlightJob<Claim extends Claimed> implements ClaimedJob {
  readonly id: string
  readonly queue: string
  readonly attempt: number
  readonly releasedSince: number | undefined
  private loss: LazyAbort | undefined

  constructor(
    readonly claim: Claim,
    readonly envelope: unknown,
    /** Its last worker died, so it is not run, but only given an outcome. */
    readonly died: boolean,
    private readonly storeProgress: (claim: Claim, value: unknown) => void,
    readonly prefetched?: PrefetchedRows,
  ) {
    this.id = claim.id
    this.queue = claim.queue
    this.attempt = claim.attempt
    this.releasedSince = claim.releasedSince ?? undefined
  }

  get signal(): AbortSignal {
    return (this.loss ??= new LazyAbort()).signal
  }

  progress(value: unknown): void {
    this.storeProgress(this.claim, value)
  }

  /** Aborts `signal`, because another worker may run the job now. */
  lose(): void {
    this.loss ??= new LazyAbort()
    this.loss.abort(new LeaseLostError())
  }

  /** For the message about a process that hangs. */
  get name(): string {
    const { entity, method } = (this.envelope ?? {}) as Record<string, unknown>
    return `${textOf(entity)}.${textOf(method)} (${this.id})`
  }
}

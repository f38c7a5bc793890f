import { sleep } from '../../concurrency/sleep'
import type { Logger } from '../../logger'
import type { Arrivals } from './arrivals'
import type { AcknowledgeAndClaimReply } from './scripts/acknowledge-and-claim'

/** How soon a worker without a heartbeat asks again, in ms. */
const ASK_AGAIN = 20
const MAX_RETRY_DELAY = 1_000
/** So many claims without a heartbeat take about 8 s. */
const MANY_REFUSALS = 30

/** When a worker without due jobs asks Redis again. */
export class IdleTime {
  /** In ms since the epoch. */
  private nextDue = Infinity
  /** How often nothing was claimed because this worker had no heartbeat. */
  private refusals = 0

  constructor(
    private readonly arrivals: Arrivals,
    /** ms */
    private readonly pollInterval: number,
    private readonly logger: Logger,
  ) {}

  claimEnded({ isAlive, nextDue }: AcknowledgeAndClaimReply): void {
    this.nextDue = Date.now() + (isAlive ? (nextDue ?? Infinity) : this.untilHeartbeat())
    if (isAlive) this.refusals = 0
  }

  async pass(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const until = Math.min(Date.now() + this.pollInterval, this.nextDue)
    await Promise.race([this.arrivals.next(either), sleep(until - Date.now(), either)])
    over.abort()
  }

  private untilHeartbeat(): number {
    if (this.refusals++ === MANY_REFUSALS) {
      this.logger.warn({}, 'nothing is claimed: the heartbeat of this worker has not reached Redis')
    }
    return Math.min(ASK_AGAIN * this.refusals, MAX_RETRY_DELAY)
  }
}

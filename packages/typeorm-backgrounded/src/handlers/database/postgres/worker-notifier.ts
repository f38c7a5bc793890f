import type { JobEnvelope } from '../../../job/envelope'
import type { Logger } from '../../../logger'
import { notificationOf } from './notifications'

/** Time between two notifications of one lane, in ms. */
const SPACING = 5
/** The same, in ms, while so many jobs come that a worker finds many each time. */
const BUSY_SPACING = 20
/** Commits per ms. */
const BUSY = 1

/** The time after a notification in which no other one is sent. */
interface Spacing {
  readonly end: NodeJS.Timeout
  /** ms */
  readonly length: number
  /** How often the same notification was asked for since. */
  asked: number
}

/**
 * Notifies workers of committed jobs. Never within a caller's transaction, because Postgres commits all transactions that
 * notify one after the other. At most every few ms for each lane, because a worker that is notified of one job claims all
 * that are due.
 */
export class WorkerNotifier {
  private readonly recent = new Map<string, Spacing>()

  constructor(
    private readonly notify: (payload: string) => Promise<unknown>,
    private readonly logger: Logger,
  ) {}

  /**
   * The notifications that the caller must send while it stores these jobs. Those that were sent just now are left out.
   */
  takeNotifications(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): string[] {
    return payloadsOf(jobs).filter((payload) => this.startSpacing(payload))
  }

  /** @param sent notifications that were sent while the jobs were stored */
  notifyWorkers(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[], sent: readonly string[] = []): void {
    for (const payload of payloadsOf(jobs)) if (!sent.includes(payload)) this.send(payload)
  }

  /** Any job of any queue may be due now. */
  notifyAllWorkers(): void {
    this.send('')
  }

  /** Sends what is still to be sent. */
  async close(): Promise<void> {
    const recent = [...this.recent]
    this.recent.clear()
    for (const [, { end }] of recent) clearTimeout(end)
    await Promise.all(recent.map(([payload, { asked }]) => asked > 0 && this.notifyNow(payload)))
  }

  private send(payload: string): void {
    const spacing = this.recent.get(payload)
    if (spacing) spacing.asked++
    else if (this.startSpacing(payload)) void this.notifyNow(payload)
  }

  private startSpacing(payload: string, length = SPACING): boolean {
    if (this.recent.has(payload)) return false
    this.recent.set(payload, { end: setTimeout(() => this.endSpacing(payload), length), length, asked: 0 })
    return true
  }

  private endSpacing(payload: string): void {
    const { asked, length } = this.recent.get(payload) as Spacing
    this.recent.delete(payload)
    if (asked === 0) return
    this.startSpacing(payload, asked >= BUSY * length ? Math.min(2 * length, BUSY_SPACING) : SPACING)
    void this.notifyNow(payload)
  }

  private async notifyNow(payload: string): Promise<void> {
    try {
      await this.notify(payload)
    } catch (error) {
      this.logger.debug({ err: error }, 'workers could not be notified of a new job: they find it by polling')
    }
  }
}

function payloadsOf(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): readonly string[] {
  const payloads = jobs.map(notificationOf)
  return payloads.length > 1 ? [...new Set(payloads)] : payloads
}

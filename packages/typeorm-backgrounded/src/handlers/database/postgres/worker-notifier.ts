import type { JobEnvelope } from '../../../job/envelope'
import type { Logger } from '../../../logger'
import { notificationOf } from './notifications'

/** ms */
const SPACING = 5
/** ms, where there is so much to tell that a worker finds many jobs each time. */
const BUSY_SPACING = 20
/** Commits a ms. */
const BUSY = 1

/** Something was told a moment ago. */
interface Spacing {
  readonly end: NodeJS.Timeout
  /** ms */
  readonly length: number
  /** How often it was to be told again since. */
  asked: number
}

/**
 * Tells workers of jobs that have been committed: never within a caller's transaction, since all transactions that
 * notify commit one after the other, and of each lane once in a while, since a worker that has heard of one looks at
 * all.
 */
export class WorkerNotifier {
  private readonly recent = new Map<string, Spacing>()

  constructor(
    private readonly notify: (payload: string) => Promise<unknown>,
    private readonly logger: Logger,
  ) {}

  /** What is to be told along with storing these jobs: nobody has told it a moment ago, and whoever asks does. */
  takeNotifications(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): string[] {
    return payloadsOf(jobs).filter((payload) => this.startSpacing(payload))
  }

  /** @param told was told along with them */
  notifyWorkers(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[], told: readonly string[] = []): void {
    for (const payload of payloadsOf(jobs)) if (!told.includes(payload)) this.send(payload)
  }

  /** Any job of any queue may be due now. */
  notifyAllWorkers(): void {
    this.send('')
  }

  /** Tells what is still to be told; nothing comes after it. */
  async close(): Promise<void> {
    const recent = [...this.recent]
    this.recent.clear()
    for (const [, { end }] of recent) clearTimeout(end)
    await Promise.all(recent.map(([payload, { asked }]) => asked > 0 && this.notifyNow(payload)))
  }

  private send(payload: string): void {
    const turn = this.recent.get(payload)
    if (turn) turn.asked++
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
      this.logger.debug({ err: error }, 'workers were not told of a new job: they find it when they look')
    }
  }
}

function payloadsOf(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): readonly string[] {
  const payloads = jobs.map(notificationOf)
  return payloads.length > 1 ? [...new Set(payloads)] : payloads
}

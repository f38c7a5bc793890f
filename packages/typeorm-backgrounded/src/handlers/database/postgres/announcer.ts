import type { JobEnvelope } from '../../../job/envelope'
import type { Logger } from '../../../logger'
import { announcement } from './notifications'

/** ms */
const SPACING = 5

/**
 * Tells workers of jobs that have been committed: never within a caller's transaction, since all transactions that
 * notify commit one after the other, and of each level once in a while, since a worker that has heard of one looks at
 * all.
 */
export class Announcer {
  /** What was told a moment ago, and whether it has to be told again. */
  private readonly recent = new Map<string, { again: boolean; readonly turn: NodeJS.Timeout }>()

  constructor(
    private readonly notify: (payload: string) => Promise<unknown>,
    private readonly logger: Logger,
  ) {}

  /** What is to be told along with storing these jobs: nobody has told it a moment ago, and whoever asks does. */
  turns(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): string[] {
    return payloadsOf(jobs).filter((payload) => this.takeTurn(payload))
  }

  /** @param told was told along with them */
  announce(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[], told: readonly string[] = []): void {
    for (const payload of payloadsOf(jobs)) if (!told.includes(payload)) this.send(payload)
  }

  /** Any job of any queue may be due now. */
  announceAny(): void {
    this.send('')
  }

  /** Tells what is still to be told; nothing comes after it. */
  async close(): Promise<void> {
    const recent = [...this.recent]
    this.recent.clear()
    for (const [, { turn }] of recent) clearTimeout(turn)
    await Promise.all(recent.map(([payload, { again }]) => again && this.tell(payload)))
  }

  private send(payload: string): void {
    const recent = this.recent.get(payload)
    if (recent) recent.again = true
    else if (this.takeTurn(payload)) void this.tell(payload)
  }

  private takeTurn(payload: string): boolean {
    if (this.recent.has(payload)) return false
    this.recent.set(payload, { again: false, turn: setTimeout(() => this.endTurn(payload), SPACING) })
    return true
  }

  private endTurn(payload: string): void {
    const { again } = this.recent.get(payload) ?? {}
    this.recent.delete(payload)
    if (again) this.send(payload)
  }

  private async tell(payload: string): Promise<void> {
    try {
      await this.notify(payload)
    } catch (error) {
      this.logger.debug({ err: error }, 'workers were not told of a new job: they find it when they look')
    }
  }
}

function payloadsOf(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): readonly string[] {
  const payloads = jobs.map(announcement)
  return payloads.length > 1 ? [...new Set(payloads)] : payloads
}

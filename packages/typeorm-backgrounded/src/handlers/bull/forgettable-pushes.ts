import type { Logger } from '../../logger'
import type { Commands } from './commands'
import { forgetPushes } from './scripts/enqueue'

/** ms */
const FORGET_WITHIN = 1_000
const MOST_AT_ONCE = 500

/** Ids of pushed jobs that Redis need not remember any more. It is told so with the next call, or within a second. */
export class ForgettablePushes {
  private readonly ids: string[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(
    private readonly commands: Commands,
    /** ms */
    private readonly timeout: number,
    private readonly logger: Logger,
  ) {}

  add(ids: readonly string[]): void {
    this.ids.push(...ids)
    this.timer ??= setTimeout(() => void this.forgetAll(), FORGET_WITHIN).unref()
  }

  /** Returns the ids that the next call sends. */
  take(): string[] {
    return this.ids.splice(0, MOST_AT_ONCE)
  }

  async forgetAll(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    while (this.ids.length > 0) {
      try {
        await this.commands.run(forgetPushes, this.take(), this.timeout)
      } catch (error) {
        return this.logger.debug({ err: error }, 'Redis forgets some pushes in a week')
      }
    }
  }
}

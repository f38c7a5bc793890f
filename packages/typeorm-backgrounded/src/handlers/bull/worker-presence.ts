import type { Heartbeat } from '../heartbeat/heartbeat'
import { startHeartbeat } from '../heartbeat/worker-heartbeat'
import type { ConsumeOptions } from '../contract/consumable'
import type { HandlerHost } from '../contract/handler'
import type { Commands } from './commands'
import type { ResolvedBullOptions } from './options'
import { beat, leave } from './scripts/beat'
import { beatWithin, type PulseData } from './worker-pulse'

const TIMEOUT = 5_000
const FAREWELL_TIMEOUT = 250

export interface WorkerPresenceParts {
  readonly host: HandlerHost
  readonly commands: Commands
  readonly options: ResolvedBullOptions
  readonly consumption: ConsumeOptions
  /** Begins every key. */
  readonly base: string
  readonly worker: string
  /** Called when Redis had taken this worker for dead. */
  readonly onGap: () => void
}

/** The heartbeat of this worker. A worker without one claims nothing. */
export class WorkerPresence {
  private readonly heartbeat: Heartbeat
  private wasAlive = false

  constructor(private readonly parts: WorkerPresenceParts) {
    const { host, commands, options, consumption, base, worker, onGap } = parts
    const { beat: every, gap, lease, redis } = options
    const data: PulseData = { redis, base, worker, lease, every, gap }
    this.heartbeat = startHeartbeat({
      every,
      consumption,
      directory: () => __dirname,
      data,
      beat: () => beatWithin(commands, data),
      onGap,
      logger: host.logger,
    })
  }

  /** Whether Redis had a heartbeat at the last request. */
  get isAlive(): boolean {
    return this.wasAlive
  }

  /** Beats once. Returns false when Redis had taken this worker for dead, or did not know it. */
  comeAlive(): Promise<boolean> {
    const { commands, options, worker } = this.parts
    return commands.run(beat, [worker, options.lease, options.gap], TIMEOUT)
  }

  /**
   * Remembers whether a request found a heartbeat. Returns true when the heartbeat has just been lost, but not again for
   * each later request, because each beat reports it too.
   */
  hasJustDied(isAlive: boolean): boolean {
    const { wasAlive } = this
    this.wasAlive = isAlive
    return wasAlive && !isAlive
  }

  /** For the message about a process that hangs. */
  isRunning(names: readonly string[]): void {
    this.heartbeat.isRunning(names)
  }

  async leave(): Promise<void> {
    const { commands, worker } = this.parts
    await this.heartbeat.stop()
    if (commands.isOut) return // its key ends by itself
    await commands.run(leave, [worker], FAREWELL_TIMEOUT).catch(() => {})
  }
}

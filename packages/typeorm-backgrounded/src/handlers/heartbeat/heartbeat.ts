import { Worker } from 'node:worker_threads'
import type { Logger } from '../../logger'
import { withResolver } from '../../concurrency/sleep'
import type { ThreadData, ThreadNews } from './beat-in-thread'
import { Heart, type Pulse } from './heart'
import { LifeSign } from './life-sign'

export interface HeartbeatOptions {
  /** ms */
  readonly every: number
  /**
   * A compiled file that calls `beatInThread`, and the data for its pulse, each undefined when it cannot be found. Without
   * a thread, the heartbeat runs on the main loop.
   */
  readonly thread?: { readonly file: string | undefined; readonly data: unknown }
  /** The same pulse, for the main loop. */
  readonly pulse: () => Pulse
  /** Called when the store had taken this worker for dead. */
  readonly onGap: () => void
  readonly logger: Logger
  /** How long the main loop may not turn, in ms, before the thread ends the process; default 5 minutes. */
  readonly longestSilence?: number
}

const TURN_EVERY = 1_000
const BUNDLED =
  'typeorm-backgrounded was bundled without the file of its thread: leave it out of the bundle, ' +
  "with external: ['typeorm-backgrounded'] in esbuild, or externals in webpack"

/**
 * Shows a store that a worker is alive, from a thread of its own, so that a worker whose method keeps the event loop busy
 * does not look dead.
 */
export class Heartbeat {
  private readonly sign = new LifeSign()
  private readonly first = withResolver()
  private readonly turning: NodeJS.Timeout
  private thread: Worker | undefined
  private heart: Heart | undefined

  constructor(private readonly options: HeartbeatOptions) {
    this.sign.turn()
    this.turning = setInterval(() => this.sign.turn(), TURN_EVERY)
    const { file, data } = options.thread ?? {}
    const obstacle = options.thread && obstacleOf(options.thread)
    if (file === undefined || obstacle !== undefined) this.beatHere(obstacle)
    else this.startThread(file, data)
  }

  /** Resolves when the first beat has reached the store. Until then, other workers may take this one for dead. */
  get firstBeat(): Promise<void> {
    return this.first.promise
  }

  /** For the message about a process that hangs. */
  isRunning(names: readonly string[]): void {
    if (this.thread) this.sign.isRunning(names)
  }

  async stop(): Promise<void> {
    clearInterval(this.turning)
    const { thread } = this
    this.thread = undefined
    await Promise.all([thread?.terminate(), this.heart?.stop()])
  }

  private startThread(file: string, data: unknown): void {
    const { every, longestSilence = 5 * 60_000, onGap, logger } = this.options
    const workerData: ThreadData<unknown> = { memory: this.sign.memory, every, longestSilence, data }
    this.thread = new Worker(file, { workerData, execArgv: [] })
    this.thread.on('message', (news: ThreadNews) => (news === 'gap' ? onGap() : this.first.resolve()))
    this.thread.on('error', (error) => logger.error({ err: error }, 'the heartbeat thread has failed'))
    this.thread.on('exit', () => {
      if (this.thread) this.beatHere('its thread has ended') // unexpectedly
      this.thread = undefined
    })
    this.thread.unref()
  }

  private beatHere(reason?: string): void {
    const { every, pulse, onGap, logger } = this.options
    if (reason) {
      logger.warn(
        { reason },
        'the heartbeat shares the event loop: a method that keeps it busy for longer than the lease is run again elsewhere',
      )
    }
    this.heart = new Heart(pulse(), every, onGap, this.first.resolve)
  }
}

/** Why a thread cannot be started. */
function obstacleOf({ file, data }: NonNullable<HeartbeatOptions['thread']>): string | undefined {
  if (file === undefined) return BUNDLED
  if (data === undefined) return 'the driver is not where a thread could load it: install it beside typeorm'
  return isCloneable(data) ? undefined : 'the connection options hold functions, which a thread cannot be given'
}

function isCloneable(data: unknown): boolean {
  try {
    structuredClone(data)
    return true
  } catch {
    return false
  }
}

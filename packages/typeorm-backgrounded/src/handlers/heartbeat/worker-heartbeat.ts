import type { Logger } from '../../logger'
import { Heartbeat } from './heartbeat'
import { threadFile } from './thread-file'

export interface WorkerHeartbeatOptions {
  /** ms */
  readonly every: number
  /** Whether the worker is a drain, and how long its main loop may not turn, in ms. */
  readonly consumption: { readonly once: boolean; readonly maxSilence?: number }
  /** Returns the directory of the file `heartbeat-thread.js`. */
  readonly directory: () => string
  /** What the pulse in the thread needs. Undefined when the thread could not load the driver. */
  readonly data: unknown
  /** Beats once, from the main loop. Returns false when the store had taken the worker for dead. */
  readonly beat: () => Promise<boolean>
  /** Called when the store had taken this worker for dead. */
  readonly onGap: () => void
  readonly logger: Logger
}

/** Starts the heartbeat of one worker. */
export function startHeartbeat(options: WorkerHeartbeatOptions): Heartbeat {
  const { every, consumption, directory, data, beat, onGap, logger } = options
  return new Heartbeat({
    every,
    longestSilence: consumption.maxSilence,
    // A drain is over too soon to be worth a thread, most of all in tests.
    thread: consumption.once ? undefined : { file: threadFile(directory), data },
    pulse: () => ({ beat, close() {} }),
    onGap,
    logger,
  })
}

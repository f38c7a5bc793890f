import { constants } from 'node:os'
import type { Logger } from '../logger'

/** What is to stop: a worker. */
interface Stoppable {
  stop(options: { exiting: true }): Promise<{ readonly stillRunning: readonly unknown[] }>
}

export interface SignalWatch {
  /** Whether a signal has come. */
  readonly isStopping: boolean
  /** Stops listening for signals. */
  end(): void
}

/**
 * The first SIGTERM or SIGINT stops the worker in order, the second one ends the process at once. A job that does not end
 * in time is released, and the process exits, because the method must not go on beside its next run.
 */
export function stopAtSignals(worker: Stoppable, logger: Logger, stopped: () => void = () => {}): SignalWatch {
  let isStopping = false
  function onSignal(signal: 'SIGTERM' | 'SIGINT'): void {
    if (isStopping) {
      logger.warn({ signal }, 'exiting at once: running jobs go back when their lease has ended')
      process.exit(128 + constants.signals[signal])
    }
    isStopping = true
    logger.info({ signal }, 'stopping: waiting for running jobs; a second signal exits at once')
    void worker.stop({ exiting: true }).then(({ stillRunning }) => {
      if (stillRunning.length > 0) {
        logger.warn({ jobs: stillRunning }, 'handed back jobs that did not end in time')
        process.exit(0)
      }
      stopped()
    })
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return {
    get isStopping() {
      return isStopping
    },
    end: () => void process.off('SIGTERM', onSignal).off('SIGINT', onSignal),
  }
}

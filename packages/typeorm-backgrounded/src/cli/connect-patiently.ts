import type { DataSource } from 'typeorm'
import { withAdvice } from '../database/defects'
import { isConnectionError } from '../database/errors'
import type { Logger } from '../logger'
import { sleep } from '../concurrency/sleep'

const LONGEST_PAUSE = 5_000

/**
 * Initialises the data source of a worker. A database that is down is waited for, like one that goes down later; a
 * wrong password, a missing database and everything else that no waiting mends rejects. A signal ends the process:
 * there is nothing to be handed back yet.
 * @throws what `initialize` rejects with
 */
export async function connectPatiently(dataSource: DataSource, logger: Logger): Promise<void> {
  const end = (signal: string) => {
    logger.info({ signal }, 'worker stopped before the database could be reached')
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)
  try {
    for (let pause = 100; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        await dataSource.initialize()
        return
      } catch (error) {
        if (!isConnectionError(error)) throw advised(error)
        logger.error({ err: error, retryIn: pause }, 'the database cannot be reached')
      }
      await sleep(pause)
    }
  } finally {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, end)
  }
}

function advised(error: unknown): unknown {
  return withAdvice(error, { tables: "plugin's tables", missing: (error as Error).message })
}

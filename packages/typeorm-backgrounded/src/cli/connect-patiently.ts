import type { DataSource } from 'typeorm'
import { withAdvice } from '../database/defects'
import { isConnectionError } from '../database/errors'
import type { Logger } from '../logger'
import { errorMessage } from '../reporting/safe-error'
import { sleep } from '../concurrency/sleep'

/** In ms. */
const MAX_RETRY_DELAY = 5_000

/**
 * Initialises the data source of a worker. It waits for a database that is down, as a running worker does. It rejects for
 * errors that waiting does not mend, such as a wrong password or a missing database. A signal ends the process at once,
 * because no job is claimed yet.
 * @throws what `initialize` rejects with
 */
export async function connectPatiently(dataSource: DataSource, logger: Logger): Promise<void> {
  const end = (signal: string) => {
    logger.info({ signal }, 'worker stopped before the database could be reached')
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)
  try {
    for (let retryIn = 100; ; retryIn = Math.min(retryIn * 2, MAX_RETRY_DELAY)) {
      try {
        await dataSource.initialize()
        return
      } catch (error) {
        if (!isConnectionError(error)) throw advised(error)
        logger.error({ err: error, retryIn }, 'the database cannot be reached')
      }
      await sleep(retryIn)
    }
  } finally {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, end)
  }
}

function advised(error: unknown): unknown {
  return withAdvice(error, { tables: "plugin's tables", missing: errorMessage(error) })
}

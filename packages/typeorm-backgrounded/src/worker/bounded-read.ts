import type { DataSource, EntityManager, QueryRunner } from 'typeorm'
import { dialectOf } from '../dialect'
import { StoreUnavailableError } from '../errors'

/** ms: how long the rows of jobs are waited for, with a connection of the pool and the answer on it. */
const ANSWERS_WITHIN = 15_000

/**
 * Reads over a connection of the pool to the primary. One that does not answer, since a firewall has forgotten it, is
 * given up, so that nobody gets it again.
 * @throws StoreUnavailableError, or what `read` throws
 */
export async function boundedRead<T>(
  dataSource: DataSource,
  read: (manager: EntityManager) => Promise<T>,
  within = ANSWERS_WITHIN,
): Promise<T> {
  const runner = dataSource.createQueryRunner('master')
  const progress = { isConnected: false, isGivenUp: false }
  const done = readAndRelease(runner, read, progress)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      progress.isGivenUp = true
      if (progress.isConnected) void destroyConnection(runner).catch(() => {})
      reject(
        new StoreUnavailableError(
          `The rows of jobs have not been loaded within ${within / 1000} s: the database does not answer over a connection of the ` +
            'pool, or none became free.',
        ),
      )
    }, within)
  })
  try {
    return await Promise.race([done, late])
  } finally {
    clearTimeout(timer)
    done.catch(() => {}) // of one that was given up
  }
}

async function readAndRelease<T>(
  runner: QueryRunner,
  read: (manager: EntityManager) => Promise<T>,
  progress: { isConnected: boolean; isGivenUp: boolean },
): Promise<T> {
  try {
    await runner.connect()
    progress.isConnected = true
    if (progress.isGivenUp) throw new StoreUnavailableError('A connection of the pool became free too late.')
    return await read(runner.manager)
  } finally {
    await runner.release()
  }
}

/**
 * As the drivers document it: the pool makes another one in its place. What pg ends fails, and so is released: to release it
 * here as well would make TypeORM wait for it for ever when the data source is destroyed.
 */
async function destroyConnection(runner: QueryRunner): Promise<void> {
  const connection = (await runner.connect()) as { destroy?(): void; end?(): Promise<void> }
  switch (dialectOf(runner.connection.options.type)) {
    case 'postgres':
      return connection.end?.()
    case 'mariadb':
      return connection.destroy?.()
    default:
      return undefined
  }
}

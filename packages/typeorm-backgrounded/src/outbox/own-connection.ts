import type { DataSource, QueryRunner } from 'typeorm'
import { isConflictError, isReadOnlyError } from '../database/errors'
import { sleep } from '../concurrency/sleep'
import { endConnection, withPoolRunner, type Patience } from '../database/pool-runner'
import type { OutboxStoreHost } from './outbox-store'

const TRIES = 5
const PATIENCE: Patience = { connect: 10_000, answer: 15_000, subject: 'The outbox has not been reached' }

/** A connection of the pool for one piece of work, outside of every transaction of the application. */
export class OwnConnection {
  constructor(
    private readonly dataSource: DataSource,
    private readonly host: Pick<OutboxStoreHost, 'withAdvice'>,
    private readonly patience = PATIENCE,
  ) {}

  query(sql: string, parameters: readonly unknown[] = []): Promise<unknown> {
    return this.use((runner) => runner.query(sql, [...parameters]))
  }

  /** Runs `work` again where another transaction stood in its way. */
  async use<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await withPoolRunner(this.dataSource, (runner) => leavingReadOnly(runner, work), this.patience)
      } catch (error) {
        if (tries >= TRIES || !isConflictError(error)) throw this.host.withAdvice(error)
      }
      await sleep(10 * tries * Math.random())
    }
  }
}

/**
 * A server that has lost its primary role keeps its connections, and the pool hands one that is used every second out
 * for ever. One that has ended it replaces, maybe by one to the primary.
 */
async function leavingReadOnly<T>(runner: QueryRunner, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  try {
    return await work(runner)
  } catch (error) {
    if (isReadOnlyError(error)) void endConnection(runner).catch(() => {})
    throw error
  }
}

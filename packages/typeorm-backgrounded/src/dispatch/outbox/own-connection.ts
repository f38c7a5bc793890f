import type { DataSource, QueryRunner } from 'typeorm'
import { isConflictError, isReadOnlyError } from '../../database-errors'
import { StoreUnavailableError } from '../../errors'
import { sleep } from '../../pause'
import type { OutboxStoreHost } from './outbox-store'

const TRIES = 5
/** How long to wait for a connection, in ms: those who hold the others may be waiting for this very work. */
const PATIENCE = 10_000

/** A connection of the pool for one piece of work, in nobody's transaction. */
export class OwnConnection {
  constructor(
    private readonly dataSource: DataSource,
    private readonly host: Pick<OutboxStoreHost, 'explained'>,
  ) {}

  query(sql: string, parameters: readonly unknown[] = []): Promise<unknown> {
    return this.use((runner) => runner.query(sql, [...parameters]))
  }

  /** Runs `work` again where another transaction stood in its way. */
  async use<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const runner = await this.connected()
      try {
        return await work(runner)
      } catch (error) {
        if (isReadOnlyError(error)) await endConnection(runner)
        if (tries >= TRIES || !isConflictError(error)) throw this.host.explained(error)
      } finally {
        await runner.release()
      }
      await sleep(10 * tries * Math.random())
    }
  }

  private async connected(): Promise<QueryRunner> {
    const runner = this.dataSource.createQueryRunner('master')
    const connecting = Promise.resolve(runner.connect())
    const over = new AbortController()
    const late = sleep(PATIENCE, over.signal).then(() => 'late' as const)
    const first = await Promise.race([connecting, late]).finally(() => over.abort())
    if (first !== 'late') return runner
    void connecting.then(() => runner.release()).catch(() => {})
    throw new StoreUnavailableError(
      `No connection of the pool became free within ${PATIENCE / 1000} s: enlarge the pool, or make calls inside a transaction with its manager.`,
    )
  }
}

/**
 * A server that has lost its primary role keeps its connections, and the pool hands one that is used every second out
 * for ever. One that has ended it replaces, maybe by one to the primary. pg's clients have `end`, mysql2's `destroy`.
 */
async function endConnection(runner: QueryRunner): Promise<void> {
  const client = (await runner.connect()) as { destroy?(): void; end?(): Promise<void> }
  if (client.destroy) client.destroy()
  else void client.end?.().catch(() => {})
}

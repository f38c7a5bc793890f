import type { DataSource, QueryRunner } from 'typeorm'
import { isConflictError } from '../../database-errors'
import { sleep } from '../../pause'
import type { OutboxStoreHost } from './outbox-store'

const TRIES = 5

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
      const runner = this.dataSource.createQueryRunner('master')
      try {
        return await work(runner)
      } catch (error) {
        if (tries >= TRIES || !isConflictError(error)) throw this.host.explained(error)
      } finally {
        await runner.release()
      }
      await sleep(10 * tries * Math.random())
    }
  }
}

import type { DataSource } from 'typeorm'
import { withBackgrounded } from '../../src'
import { BackgroundedJob, DatabaseHandler, type DatabaseHandlerOptions } from '../../src/handlers/database'
import type { Duration } from '../../src/job/duration'
import { Task } from '../integration/fixtures/task'
import { connectionOf, endingAfterEach, Program, silent } from './program'
import type { CreateDatabase } from './stores'

interface Options {
  /** The handler's options in every process. */
  readonly handler?: DatabaseHandlerOptions
  /** Connections of the producer's pool. */
  readonly poolSize?: number
  /** Connections of each worker's pool. */
  readonly workerPoolSize?: number
  readonly keepCompleted?: Duration
}

/** A program whose jobs are in its own database. */
export class DatabaseProgram extends Program {
  private constructor(dataSource: DataSource, env: Record<string, string>, cleanUp: () => Promise<void>) {
    super(dataSource, 'database-data-source.js', env, cleanUp)
  }

  /** @param database where it keeps its rows: a shared server, or one of the test's own */
  static async start(database: { create: CreateDatabase }, options: Options = {}): Promise<DatabaseProgram> {
    const { handler = {}, poolSize = 10, workerPoolSize = 10, keepCompleted } = options
    const { dataSource, drop } = await database.create([Task], { poolSize })
    await withBackgrounded(dataSource, {
      handler: new DatabaseHandler(handler),
      keepCompleted,
      logger: silent,
    }).initialize()
    const env = {
      DATABASE: JSON.stringify({ ...connectionOf(dataSource), poolSize: workerPoolSize, applicationName: 'worker' }),
      HANDLER: JSON.stringify(handler),
      KEEP_COMPLETED: String(keepCompleted ?? ''),
    }
    return new DatabaseProgram(dataSource, env, drop)
  }

  /** The rows of the job table, in the order of the calls. */
  rows(): Promise<BackgroundedJob[]> {
    return this.dataSource.manager.find(BackgroundedJob, { order: { id: 'ASC' } })
  }

  /** The jobs that `sign` has printed, in order. */
  get signed(): string[] {
    return this.lines.map((line) => line.split(' ')[2] as string)
  }

  /** As a network or an administrator does it: all but the one that asks. */
  async dropConnections(): Promise<void> {
    const { dataSource } = this
    if (dataSource.options.type === 'postgres') {
      await dataSource.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      )
      return
    }
    const others = await dataSource.query<{ id: number }[]>(
      'SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()',
    )
    for (const { id } of others) await dataSource.query('KILL ?', [id]).catch(() => {}) // gone already
  }

  /** No job waits or runs. */
  async isDone(): Promise<boolean> {
    const open = "SELECT 1 FROM backgrounded_jobs WHERE state IN ('waiting', 'running') LIMIT 1"
    return (await this.dataSource.query<unknown[]>(open)).length === 0
  }
}

/** Starts programs for the tests of a suite, and ends them after each. */
export function programsOfSuite(): typeof DatabaseProgram.start {
  return endingAfterEach((database: { create: CreateDatabase }, options?: Options) =>
    DatabaseProgram.start(database, options),
  )
}

import { realpathSync } from 'node:fs'
import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger'
import {
  databaseClassOf,
  sharedConnectionOf,
  type SqliteConstructor,
  type SqliteDatabase,
  type SqliteStatement,
} from '../../upstream/sqlite'
import { StoreUnavailableError } from '../../errors'
import { isBusyError } from '../errors'
import { sleep } from '../../concurrency/sleep'

interface SqliteOptions {
  readonly key?: string
  readonly nativeBinding?: string
  readonly prepareDatabase?: (database: SqliteDatabase) => void | Promise<void>
}

export interface SqliteHost {
  readonly dataSource: DataSource
  readonly logger: Logger
  /**
   * Whether a test's own transaction is open, which is never committed. Only TypeORM's connection sees what it has
   * written.
   */
  isInsideTestTransaction(): boolean
  withAdvice(error: unknown): unknown
  /** Whether a power cut may take back what was committed last; default `'FULL'`: it may not. */
  readonly synchronous?: 'FULL' | 'NORMAL'
}

/** In ms. */
const MAX_RETRY_DELAY = 50
/** At this size of the log, in pages, SQLite itself makes a checkpoint. */
const LONGEST_LOG = 8_000

/**
 * A connection of the library's own, beside TypeORM's, so that its writes are in no transaction of the application. It
 * never waits inside SQLite, which would block the event loop, and with it the transaction that it waits for.
 * An in-memory database has TypeORM's connection only; writes there wait until no transaction is open.
 */
export class SqliteConnection {
  private own: SqliteDatabase | undefined
  /** Whether commits go to a write-ahead log. Then `checkpoint` must be called from time to time. */
  hasLog = false
  private readonly closing = new AbortController()
  private readonly prepared = new WeakMap<SqliteDatabase, Map<string, SqliteStatement>>()

  /**
   * Absolute path with all links resolved, because processes that use the same file find each other's lock files beside it.
   * Undefined for an in-memory database.
   */
  readonly file: string | undefined
  readonly Database: SqliteConstructor

  /** @param host `withAdvice` names the fix where the database's error alone would not */
  constructor(private readonly host: SqliteHost) {
    this.file = this.isInMemory ? undefined : realpathSync(this.shared.name)
    this.Database = databaseClassOf(host.dataSource, host.logger)
  }

  /** TypeORM's own connection. */
  get shared(): SqliteDatabase {
    return sharedConnectionOf(this.dataSource)
  }

  get isInMemory(): boolean {
    return this.shared.memory
  }

  /** A number that changes when another connection has committed something. */
  dataVersion(): unknown {
    return this.own && this.runner(this.own)('PRAGMA data_version').pluck().get()
  }

  /** Opens the connection and switches the file to write-ahead logging, so that readers and the writer do not wait for each other. */
  async prepareForWork(): Promise<void> {
    const database = await this.open()
    if (database !== this.own) return // the settings of TypeORM's connection belong to the application
    try {
      this.hasLog = database.pragma('journal_mode = WAL', { simple: true }) === 'wal'
      database.pragma(`wal_autocheckpoint = ${LONGEST_LOG}`)
    } catch (error) {
      if (!isBusyError(error)) throw error // another connection uses the file now; WAL is faster, but not necessary
    }
  }

  /** Moves data from the write-ahead log into the database, as far as no reader needs the log, and waits for the disk. */
  checkpoint(): void {
    this.own?.pragma('wal_checkpoint(PASSIVE)')
  }

  /**
   * Runs `work` in a write transaction. `work` must not await.
   * @param patience how long to go on trying while another connection writes, in ms; then rejects with SQLITE_BUSY
   */
  write<T>(work: (run: StatementRunner) => T, patience = Infinity): Promise<T> {
    return this.patiently(() => this.tryWrite(work), patience)
  }

  /** Like `write`, but tries only once, and rejects with SQLITE_BUSY when another connection writes. */
  async tryWrite<T>(work: (run: StatementRunner) => T): Promise<T> {
    const database = await this.open()
    this.checkOpen()
    const isTest = this.host.isInsideTestTransaction()
    if (database.inTransaction && !isTest) throw new BusyError()
    const [begin, commit, rollback] = isTest ? NESTED : TOP_LEVEL
    const run = this.runner(database)
    run(begin).run()
    try {
      const result = work(run)
      run(commit).run()
      return result
    } catch (error) {
      if (database.inTransaction) run(rollback).run()
      throw error
    }
  }

  /**
   * Reads outside any transaction.
   * @param patience ms, as for `write`, because without write-ahead logging a commit of another connection blocks reads
   */
  read<T>(work: (run: StatementRunner) => T, patience = 0): Promise<T> {
    return this.patiently(async () => {
      const run = this.runner(await this.open())
      this.checkOpen()
      return work(run)
    }, patience)
  }

  get isClosed(): boolean {
    return this.closing.signal.aborted
  }

  /** Ends what waits for another connection, too: it rejects with StoreUnavailableError, as does what is begun later. */
  close(): void {
    this.closing.abort()
    this.own?.close()
    this.own = undefined
  }

  private async patiently<T>(work: () => Promise<T>, patience: number): Promise<T> {
    const start = Date.now()
    for (let delay = 1; ; delay = Math.min(delay * 2, MAX_RETRY_DELAY)) {
      try {
        return await work()
      } catch (error) {
        if (!isBusyError(error) || Date.now() - start >= patience) throw this.host.withAdvice(error)
      }
      await sleep(delay * (0.5 + Math.random()), this.closing.signal)
    }
  }

  private async open(): Promise<SqliteDatabase> {
    this.checkOpen()
    // Inside a test's transaction only TypeORM's connection sees the rows.
    if (this.isInMemory || this.host.isInsideTestTransaction()) return this.shared
    if (this.own) return this.own
    const { key, nativeBinding, prepareDatabase } = this.dataSource.options as SqliteOptions
    const database = new this.Database(this.file as string, {
      timeout: 0,
      fileMustExist: true,
      nativeBinding: nativeBinding ?? null,
    })
    if (key) database.pragma(`key = ${JSON.stringify(key)}`)
    await prepareDatabase?.(database)
    database.pragma(`synchronous = ${this.host.synchronous ?? 'FULL'}`)
    if (!this.isClosed) this.own ??= database
    if (this.own !== database) database.close()
    this.checkOpen()
    return this.own as SqliteDatabase
  }

  /** @throws StoreUnavailableError once it was closed, which may happen while something is awaited */
  private checkOpen(): void {
    if (this.isClosed) throw new ClosedError()
  }

  private runner(database: SqliteDatabase): StatementRunner {
    let statements = this.prepared.get(database)
    if (!statements) this.prepared.set(database, (statements = new Map()))
    const cache = statements
    return (sql) => {
      let statement = cache.get(sql)
      if (!statement) cache.set(sql, (statement = database.prepare(sql)))
      return statement
    }
  }

  private get dataSource(): DataSource {
    return this.host.dataSource
  }
}

/** Prepares a statement, once for each connection. */
export type StatementRunner = (sql: string) => SqliteStatement

const TOP_LEVEL = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'] as const
const NESTED = ['SAVEPOINT backgrounded', 'RELEASE backgrounded', 'ROLLBACK TO backgrounded'] as const

class ClosedError extends StoreUnavailableError {
  constructor() {
    super('This connection to the SQLite database is closed, because its data source was destroyed: call initialize().')
  }
}

class BusyError extends Error {
  readonly code = 'SQLITE_BUSY'
  constructor() {
    super("a transaction is open on the process's one connection to this database")
  }
}

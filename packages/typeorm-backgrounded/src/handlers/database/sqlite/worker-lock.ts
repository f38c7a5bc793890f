import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isBusyError } from '../../../database/errors'
import type { SqliteConstructor, SqliteDatabase } from '../../../upstream/sqlite'

/**
 * Shows that this worker is alive without writing into the user's file: the worker keeps an exclusive SQLite lock on a
 * small file beside it. The kernel frees the lock when the process ends, however it ends. So a method may hold a
 * transaction open, or keep the event loop busy, for any time.
 */
export class WorkerLock {
  private constructor(
    readonly worker: string,
    private readonly path: string,
    private readonly database: SqliteDatabase,
  ) {}

  static acquire(Database: SqliteConstructor, databaseFile: string): WorkerLock {
    removeDeadLocks(Database, databaseFile)
    for (;;) {
      const worker = randomUUID()
      const path = lockPath(databaseFile, worker)
      const database = tryLock(Database, path, false)
      if (!database) continue
      const lock = new WorkerLock(worker, path, database)
      // Before the file was locked, another worker may have removed it, as if it were that of a dead worker.
      if (lock.isHeld()) return lock
      database.close()
    }
  }

  /** Whether the lock file still exists. */
  isHeld(): boolean {
    return existsSync(this.path) && statSync(this.path).isFile()
  }

  release(): void {
    rmSync(this.path, { force: true })
    this.database.close()
  }
}

/** Whether the worker that wrote this name into its jobs still lives. */
export function isWorkerAlive(Database: SqliteConstructor, databaseFile: string, worker: string): boolean {
  if (!/^[0-9a-f-]{36}$/.test(worker)) return false // not written by a worker
  const path = lockPath(databaseFile, worker)
  if (!existsSync(path)) return false
  const database = tryLock(Database, path, true)
  if (!database) return true
  rmSync(path, { force: true })
  database.close()
  return false
}

function lockPath(databaseFile: string, worker: string): string {
  return `${databaseFile}-worker-${worker}`
}

function tryLock(Database: SqliteConstructor, path: string, fileMustExist: boolean): SqliteDatabase | undefined {
  let database: SqliteDatabase | undefined
  try {
    database = new Database(path, { timeout: 0, fileMustExist })
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    if (isBusyError(error) || !existsSync(path)) return undefined
    throw error
  }
}

/** Removes the lock files of workers that were killed. */
function removeDeadLocks(Database: SqliteConstructor, databaseFile: string): void {
  const prefix = `${basename(databaseFile)}-worker-`
  for (const name of readdirSync(dirname(databaseFile))) {
    const worker = name.slice(prefix.length)
    if (name.startsWith(prefix) && !worker.includes('-journal')) isWorkerAlive(Database, databaseFile, worker)
  }
}

import { open } from 'node:fs/promises'
import type { SqliteConnection } from '../../../database/sqlite/connection'

/** Commits from one checkpoint to the next: 16 MB of log, with 50 jobs at a time. */
const EVERY = 256

/**
 * Moves what was committed from the write-ahead log into the database. SQLite would do it in the middle of a commit, and
 * wait for the disk there, and all of the process with it: here most of the waiting is done by a thread of Node's.
 */
export class Checkpoints {
  private commits = 0
  private isUnderWay = false

  constructor(private readonly connection: SqliteConnection) {}

  /** To be called after each commit. */
  committed(): void {
    if (++this.commits < EVERY || this.isUnderWay || !this.connection.hasLog) return
    this.commits = 0
    this.isUnderWay = true
    // One that fails is made up for by the next one.
    void this.checkpoint()
      .catch(() => {})
      .finally(() => (this.isUnderWay = false))
  }

  private async checkpoint(): Promise<void> {
    // Closing it harms none of SQLite's locks: they are on other files.
    const log = await open(`${this.connection.file}-wal`, 'r+')
    await log.datasync().finally(() => log.close())
    this.connection.checkpoint()
  }
}

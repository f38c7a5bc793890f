import { open } from 'node:fs/promises'
import type { SqliteConnection } from '../../../database/sqlite/connection'

/** How many commits there are between two checkpoints: 16 MB of log, with 50 jobs per commit. */
const EVERY = 256

/**
 * Moves committed data from the write-ahead log into the database. SQLite would do so within a commit, and block the event
 * loop until the data are on the disk. Here a thread of Node's pool does most of the waiting.
 */
export class Checkpoints {
  private commits = 0
  private isUnderWay = false

  constructor(private readonly connection: SqliteConnection) {}

  /** Must be called after each commit. */
  committed(): void {
    if (++this.commits < EVERY || this.isUnderWay || !this.connection.hasLog) return
    this.commits = 0
    this.isUnderWay = true
    // The next checkpoint makes up for one that fails.
    void this.checkpoint()
      .catch(() => {})
      .finally(() => (this.isUnderWay = false))
  }

  private async checkpoint(): Promise<void> {
    // Closing this file releases none of SQLite's locks, because they are on other files.
    const log = await open(`${this.connection.file}-wal`, 'r+')
    await log.datasync().finally(() => log.close())
    this.connection.checkpoint()
  }
}

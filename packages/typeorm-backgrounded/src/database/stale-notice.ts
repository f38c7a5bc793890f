import { isPreparedStatementError, isReadOnlyError } from './errors'
import type { Logger } from '../logger'

/** ms without it, after which it is said again */
const QUIET = 60_000

/** Says once, not with each attempt and each connection, that a server is not what it should be. */
export class StaleNotice {
  private lastReadOnly = -Infinity
  private hasToldOfPooler = false

  constructor(
    private readonly logger: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  isStale(error: unknown): void {
    if (isReadOnlyError(error)) this.isReadOnly(error)
    if (isPreparedStatementError(error)) this.isPooled(error)
  }

  /** Somebody hands the sessions of the server around. */
  isPooled(error?: unknown): void {
    if (this.hasToldOfPooler) return
    this.hasToldOfPooler = true
    this.logger.warn(
      { err: error },
      'a pooler in transaction mode seems to stand before the database: pass new DatabaseHandler({ listen: false }), or connect ' +
        'the worker to the database itself. Until then this process does without prepared statements, and looks for jobs ' +
        'instead of hearing of them',
    )
  }

  private isReadOnly(error: unknown): void {
    const isNews = this.now() - this.lastReadOnly > QUIET
    this.lastReadOnly = this.now()
    if (!isNews) return
    this.logger.warn(
      { err: error },
      'the database server accepts no writes: it is a standby now, or is set to read-only. Its connections are given up for new ' +
        'ones, until one leads to a server that does',
    )
  }
}

import { isPreparedStatementError, isReadOnlyError } from './errors'
import type { Logger } from '../logger'

/** How long there must be no such error, in ms, before the next one is logged again. */
const QUIET = 60_000

/** Warns once, not at each attempt and for each connection, that a server accepts no writes or changes sessions. */
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

  /** A pooler gives the sessions of the server to other clients. */
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

import { setImmediate as othersTurn } from 'node:timers/promises'
import { isBusyError } from '../../../database-errors'
import { LazyAbort } from '../../../lazy-abort'
import { sleep } from '../../../pause'
import type { ClaimedJob, ConsumeOptions, HandlerHost, Outcome } from '../../handler'
import { loseLease, type Exchanged, type FinishedJob, type JobStore } from '../../store-consumption'
import type { SqliteConnection, StatementRunner } from '../../../sqlite-connection'
import type { ClaimedRow } from '../claimed-row'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import { settlementOf } from '../settlement'
import type { SqliteStatements } from './statements'
import { isWorkerAlive, WorkerLock } from './worker-lock'

const LOOK_AROUND_EVERY = 5_000
const LOOK_FOR_COMMITS_EVERY = 20

interface Held {
  readonly lease: number
  readonly loss: LazyAbort
  readonly isSuspect: boolean
}

/** The jobs of a SQLite database, as one worker sees them. */
export class SqliteStore implements JobStore {
  readonly connections = 1
  private readonly held = new Map<ClaimedJob, Held>()
  private lock: WorkerLock | undefined
  private worker = 'in-memory'
  private leases = 0
  private lookedAround = -Infinity
  private seenVersion: unknown
  private nextDue = Infinity
  private looks: NodeJS.Timeout | undefined

  constructor(
    private readonly host: HandlerHost,
    private readonly connection: SqliteConnection,
    private readonly sql: SqliteStatements,
    private readonly options: ConsumeOptions,
  ) {}

  async exchange(finished: readonly FinishedJob[], slots: number): Promise<Exchanged> {
    await this.prepare()
    const dead = await this.lookAround()
    this.seenVersion = this.connection.dataVersion()
    const { rows, taken, lost, nextDue } = await this.connection.write((run) => {
      const lost = new Set(finished.filter(({ job, outcome }) => !this.apply(run, job, outcome)).map(({ job }) => job))
      const taken = dead.flatMap((worker) => this.takeOver(run, worker))
      const { rows, nextDue } = slots > 0 ? this.claim(run, slots) : { rows: [], nextDue: Infinity }
      return { rows, taken, lost, nextDue }
    })
    for (const { job } of finished) this.held.delete(job)
    this.nextDue = nextDue
    const claimed = [...taken.map((row) => this.hold(row, true)), ...rows.map((row) => this.hold(row, false))]
    return { lost, claimed, isAll: rows.length < slots }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const until = Math.min(Date.now() + this.options.pollInterval, this.nextDue)
    while (!signal.aborted && Date.now() < until && this.connection.dataVersion() === this.seenVersion) {
      await sleep(Math.min(LOOK_FOR_COMMITS_EVERY, until - Date.now()), signal)
    }
  }

  get hasNews(): boolean {
    return Date.now() - this.lookedAround >= LOOK_AROUND_EVERY
  }

  onNews(changed: () => void): void {
    this.looks = setInterval(changed, LOOK_AROUND_EVERY)
  }

  close(): void {
    clearInterval(this.looks)
    this.lock?.release()
    this.lock = undefined
    this.connection.close()
  }

  private async prepare(): Promise<void> {
    const { Database, file } = this.connection
    if (this.lock || file === undefined) return
    await this.connection.prepareForWork()
    this.lock = WorkerLock.acquire(Database, file)
    this.worker = this.lock.worker
  }

  /** Every few seconds: who has died, and does this worker still have what it holds? Returns the dead. */
  private async lookAround(): Promise<(string | null)[]> {
    if (!this.hasNews) return []
    this.lookedAround = Date.now()
    if (this.lock && !this.lock.isHeld()) await this.becomeAnotherWorker()
    const { workers, held } = await this.connection.read((run) => ({
      workers: run(this.sql.workers).all(this.host.source) as { worker: string | null }[],
      held: run(this.sql.held).all(this.host.source, this.worker) as { id: string; lease: number }[],
    }))
    this.noticeLostLeases(new Set(held.map(({ id, lease }) => `${id}/${lease}`)))
    await this.prune()
    return workers.map(({ worker }) => worker).filter((worker) => worker !== this.worker && !this.isAlive(worker))
  }

  private isAlive(worker: string | null): boolean {
    const { Database, file } = this.connection
    return worker !== null && file !== undefined && isWorkerAlive(Database, file, worker)
  }

  /** Somebody removed the lock file: others take this worker for dead, so it must take itself for dead too. */
  private async becomeAnotherWorker(): Promise<void> {
    this.host.logger.error(
      { worker: this.worker },
      'the lock file of this worker is gone: it gives up the jobs it holds',
    )
    for (const { loss } of this.held.values()) loseLease(loss)
    this.lock?.release()
    this.lock = undefined
    await this.prepare()
  }

  private noticeLostLeases(leases: ReadonlySet<string>): void {
    for (const [{ id }, { lease, loss }] of this.held) if (!leases.has(`${id}/${lease}`)) loseLease(loss)
  }

  private async prune(): Promise<void> {
    if (this.host.keepCompleted === 0) return
    const before = Date.now() - this.host.keepCompleted
    try {
      for (;;) {
        const { changes } = await this.connection.tryWrite((run) => run(this.sql.prune).run(this.host.source, before))
        if (changes < PRUNED_AT_ONCE) return
        await othersTurn()
      }
    } catch (error) {
      if (!isBusyError(error)) throw error // the next round will do
    }
  }

  private takeOver(run: StatementRunner, deadWorker: string | null): ClaimedRow[] {
    return run(this.sql.takeOver).all(this.worker, ++this.leases, this.host.source, deadWorker) as ClaimedRow[]
  }

  private claim(run: StatementRunner, slots: number): { rows: ClaimedRow[]; nextDue: number } {
    const levels = this.levels(run)
    const rows: ClaimedRow[] = []
    for (const level of inRanks(levels, this.options.queues)) {
      if (rows.length >= slots) break
      for (const id of this.dueIn(run, level, slots - rows.length, rows)) {
        rows.push(...(run(this.sql.claim).all(this.worker, ++this.leases, id) as ClaimedRow[]))
      }
    }
    const now = Date.now()
    return { rows, nextDue: Math.min(Infinity, ...levels.map(({ runAt }) => runAt).filter((runAt) => runAt > now)) }
  }

  /** The due jobs of the levels of one rank, oldest first; of those that killed a worker, one at a time. */
  private dueIn(
    run: StatementRunner,
    levels: readonly Level[],
    slots: number,
    claimed: readonly ClaimedRow[],
  ): string[] {
    const now = Date.now()
    const hasSuspect =
      [...this.held.values()].some(({ isSuspect }) => isSuspect) || claimed.some(({ suspect }) => suspect === 1)
    const due = (isWanted: (level: Level) => boolean, limit: number) =>
      levels
        .filter(isWanted)
        .flatMap(
          ({ suspect, queue, priority }) =>
            run(this.sql.due).all(this.host.source, suspect, queue, priority, now, limit) as DueJob[],
        )
        .sort(byDueTime)
        .slice(0, limit)
    const suspects = hasSuspect ? [] : due(({ suspect }) => suspect === 1, 1)
    return [...due(({ suspect }) => suspect === 0, slots), ...suspects]
      .sort(byDueTime)
      .slice(0, slots)
      .map(({ id }) => id)
  }

  /** Those with waiting jobs that this worker serves. Future jobs are never walked. */
  private levels(run: StatementRunner): Level[] {
    const { queues } = this.options
    const paused = new Set(
      (run(this.sql.pausedQueues).all(this.host.source) as { queue: string }[]).map(({ queue }) => queue),
    )
    const levels: Level[] = []
    let last: Pick<Level, 'suspect' | 'queue' | 'priority'> = { suspect: -1, queue: '', priority: 0 }
    for (;;) {
      const next = run(this.sql.nextLevel).get(this.host.source, last.suspect, last.queue, last.priority) as
        Level | undefined
      if (!next) return levels.filter(({ queue }) => !paused.has(queue) && (queues === '*' || queues.includes(queue)))
      levels.push((last = next))
    }
  }

  /** Returns false when the job is not this worker's any more. */
  private apply(run: StatementRunner, job: ClaimedJob, outcome: Outcome): boolean {
    const held = [job.id, this.worker, this.held.get(job)?.lease]
    if (outcome.state === 'completed' && this.host.keepCompleted === 0)
      return changed(run(this.sql.remove).run(...held))
    const { state, error, suspect, giveBack, releasedSince, delay } = settlementOf(outcome, job)
    const now = Date.now()
    const runAt = delay === null ? null : now + delay
    const finishedAt = delay === null ? now : null
    return changed(run(this.sql.settle).run(state, error, suspect, giveBack, releasedSince, runAt, finishedAt, ...held))
  }

  private hold(row: ClaimedRow, died: boolean): ClaimedJob {
    const loss = new LazyAbort()
    const { id, queue, attempt, suspect, lease, releasedSince } = row
    const job: ClaimedJob = {
      id,
      queue,
      envelope: row,
      attempt,
      died,
      releasedSince: releasedSince ?? undefined,
      get signal() {
        return loss.signal
      },
      progress: (value) => this.storeProgress(id, lease, value),
    }
    this.held.set(job, { lease, loss, isSuspect: suspect === 1 })
    return job
  }

  private storeProgress(id: string, lease: number, value: unknown): void {
    this.connection
      .write(
        (run) => run(this.sql.progress).run(JSON.stringify(value) ?? null, id, this.worker, lease),
        LOOK_AROUND_EVERY,
      )
      .catch((error: unknown) =>
        this.host.logger.warn({ err: error, job: id }, 'the progress of a job could not be stored'),
      )
  }
}

interface Level {
  readonly suspect: number
  readonly queue: string
  readonly priority: number
  /** Of the first job in it. */
  readonly runAt: number
}

interface DueJob {
  readonly id: string
  readonly runAt: number
}

/** In the order in which they are served; levels of one rank are served together. */
function inRanks(levels: readonly Level[], queues: readonly string[] | '*'): Level[][] {
  const rank = ({ queue, priority }: Level) => (queues === '*' ? 0 : queues.indexOf(queue)) * 1e9 + priority
  const ranks = [...new Set(levels.map(rank))].sort((a, b) => a - b)
  return ranks.map((each) => levels.filter((level) => rank(level) === each))
}

function byDueTime(a: DueJob, b: DueJob): number {
  return a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
}

function changed({ changes }: { changes: number }): boolean {
  return changes > 0
}

import { isBusyError } from '../../../database-errors'
import type { ClaimedJob, ConsumeOptions, HandlerHost, Outcome } from '../../handler'
import { sleep } from '../../../pause'
import { errorText, storableText } from '../../error-text'
import { loseLease, type Exchanged, type FinishedJob, type JobStore } from '../../store-consumption'
import type { SqliteConnection, StatementRunner } from '../../../sqlite-connection'
import type { JobRow, SqliteStatements } from './statements'
import { isWorkerAlive, WorkerLock } from './worker-lock'

const LOOK_AROUND_EVERY = 5_000
const LOOK_FOR_COMMITS_EVERY = 20

interface Held {
  readonly lease: string
  readonly controller: AbortController
  readonly isSuspect: boolean
}

/** The jobs of a SQLite database, as one worker sees them. */
export class SqliteStore implements JobStore {
  private readonly held = new Map<ClaimedJob, Held>()
  private lock: WorkerLock | undefined
  private worker = 'in-memory'
  private claims = 0
  private lookedAround = -Infinity
  private seenVersion: unknown
  private nextDue = Infinity

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
      const rows = slots > 0 ? this.claim(run, slots) : []
      const nextDue = slots > 0 && rows.length === 0 ? this.findNextDue(run) : Infinity
      return { rows, taken, lost, nextDue }
    })
    for (const { job } of finished) this.held.delete(job)
    this.nextDue = nextDue
    return { lost, claimed: [...taken.map((row) => this.hold(row, true)), ...rows.map((row) => this.hold(row, false))] }
  }

  async wait(signal: AbortSignal): Promise<void> {
    const until = Math.min(Date.now() + this.options.pollInterval, this.nextDue)
    while (!signal.aborted && Date.now() < until && this.connection.dataVersion() === this.seenVersion) {
      await sleep(Math.min(LOOK_FOR_COMMITS_EVERY, until - Date.now()), signal)
    }
  }

  close(): void {
    this.lock?.release()
    this.lock = undefined
  }

  private async prepare(): Promise<void> {
    if (this.lock || this.connection.isInMemory) return
    await this.connection.prepareForWork()
    this.lock = WorkerLock.acquire(this.connection.Database, this.connection.shared.name)
    this.worker = this.lock.worker
  }

  /** Every few seconds: who has died, and does this worker still have what it holds? Returns the dead. */
  private async lookAround(): Promise<(string | null)[]> {
    if (Date.now() - this.lookedAround < LOOK_AROUND_EVERY) return []
    this.lookedAround = Date.now()
    if (this.lock && !this.lock.isHeld()) await this.becomeAnotherWorker()
    const { workers, leases } = await this.connection.read((run) => ({
      workers: run(this.sql.workers).all(this.host.source) as { worker: string | null }[],
      leases: run(this.sql.leases).all(this.worker) as { lease: string }[],
    }))
    this.noticeLostLeases(new Set(leases.map(({ lease }) => lease)))
    await this.prune()
    return workers.map(({ worker }) => worker).filter((worker) => worker !== this.worker && !this.isAlive(worker))
  }

  private isAlive(worker: string | null): boolean {
    if (worker === null || this.connection.isInMemory) return false
    return isWorkerAlive(this.connection.Database, this.connection.shared.name, worker)
  }

  /** Somebody removed the lock file: others take this worker for dead, so it must take itself for dead too. */
  private async becomeAnotherWorker(): Promise<void> {
    this.host.logger.error(
      { worker: this.worker },
      'the lock file of this worker is gone: it gives up the jobs it holds',
    )
    for (const { controller } of this.held.values()) loseLease(controller)
    this.lock?.release()
    this.lock = undefined
    await this.prepare()
  }

  private noticeLostLeases(leases: ReadonlySet<string>): void {
    for (const { lease, controller } of this.held.values()) if (!leases.has(lease)) loseLease(controller)
  }

  private async prune(): Promise<void> {
    if (this.host.keepCompleted === 0) return
    const before = Date.now() - this.host.keepCompleted
    await this.connection
      .tryWrite((run) => run(this.sql.prune).run(before))
      .catch((error: unknown) => {
        if (!isBusyError(error)) throw error // the next round will do
      })
  }

  private takeOver(run: StatementRunner, deadWorker: string | null): JobRow[] {
    return run(this.sql.takeOver).all(this.worker, `${this.newLease()}/`, deadWorker, this.host.source) as JobRow[]
  }

  private claim(run: StatementRunner, slots: number): JobRow[] {
    const claimed: JobRow[] = []
    for (const pairs of this.levels(run)) {
      for (const id of this.dueIn(run, pairs, slots - claimed.length, claimed)) {
        claimed.push(...(run(this.sql.claim).all(this.worker, this.newLease(), id) as JobRow[]))
      }
      if (claimed.length >= slots) break
    }
    return claimed
  }

  /** The due jobs of one level, oldest first; of those that killed a worker, one at a time. */
  private dueIn(
    run: StatementRunner,
    pairs: readonly QueueAndPriority[],
    slots: number,
    claimed: readonly JobRow[],
  ): string[] {
    const now = Date.now()
    const due = (suspect: 0 | 1, limit: number) =>
      pairs.flatMap(
        ({ queue, priority }) =>
          run(this.sql.due).all(this.host.source, queue, priority, now, suspect, limit) as DueJob[],
      )
    const hasSuspect =
      [...this.held.values()].some(({ isSuspect }) => isSuspect) || claimed.some(({ suspect }) => suspect)
    const suspects = hasSuspect ? [] : due(1, 1).sort(byDueTime).slice(0, 1)
    return [...due(0, slots), ...suspects]
      .sort(byDueTime)
      .slice(0, slots)
      .map(({ id }) => id)
  }

  /** Queues with waiting jobs, in the order in which they are served. Future jobs are never walked. */
  private levels(run: StatementRunner): QueueAndPriority[][] {
    const pairs = this.queuesAndPriorities(run)
    const { queues } = this.options
    if (queues !== '*')
      return queues.flatMap((name) => pairs.filter(({ queue }) => queue === name).map((pair) => [pair]))
    const priorities = [...new Set(pairs.map(({ priority }) => priority))].sort((a, b) => a - b)
    return priorities.map((level) => pairs.filter(({ priority }) => priority === level))
  }

  private queuesAndPriorities(run: StatementRunner): QueueAndPriority[] {
    const pairs: QueueAndPriority[] = []
    let last: QueueAndPriority = { queue: '', priority: -Infinity }
    for (;;) {
      const next = run(this.sql.nextQueueAndPriority).get(this.host.source, last.queue, last.priority) as
        QueueAndPriority | undefined
      if (!next) return pairs
      pairs.push((last = next))
    }
  }

  private findNextDue(run: StatementRunner): number {
    const { queues } = this.options
    const times = this.queuesAndPriorities(run)
      .filter(({ queue }) => queues === '*' || queues.includes(queue))
      .map(
        ({ queue, priority }) =>
          (run(this.sql.nextDue).get(this.host.source, queue, priority) as { runAt: number }).runAt,
      )
    return Math.min(Infinity, ...times)
  }

  /** Returns false when the job is not this worker's any more. */
  private apply(run: StatementRunner, job: ClaimedJob, outcome: Outcome): boolean {
    const lease = this.held.get(job)?.lease
    const held = [job.id, lease]
    const now = Date.now()
    switch (outcome.state) {
      case 'completed':
        if (this.host.keepCompleted === 0) return changed(run(this.sql.remove).run(...held))
        return changed(run(this.sql.end).run('completed', null, now, ...held))
      case 'failed':
        return changed(run(this.sql.end).run('failed', errorText(outcome.error), now, ...held))
      case 'discarded':
        return changed(run(this.sql.end).run('discarded', storableText(outcome.reason), now, ...held))
      case 'retried':
        return changed(
          run(this.sql.retry).run(now + outcome.delay, errorText(outcome.error), job.died ? 1 : 0, ...held),
        )
      case 'released':
        return changed(
          run(this.sql.release).run(now + outcome.delay, storableText(outcome.reason), outcome.since ?? null, ...held),
        )
    }
  }

  private hold(row: JobRow, died: boolean): ClaimedJob {
    const controller = new AbortController()
    const lease = row.lease as string
    const { id, queue, attempt, ...envelope } = row
    const job: ClaimedJob = {
      id,
      queue,
      envelope,
      attempt,
      died,
      releasedSince: row.releasedSince ?? undefined,
      signal: controller.signal,
      progress: (value) => this.storeProgress(id, lease, value),
    }
    this.held.set(job, { lease, controller, isSuspect: row.suspect === 1 })
    return job
  }

  private storeProgress(id: string, lease: string, value: unknown): void {
    this.connection
      .write((run) => run(this.sql.progress).run(JSON.stringify(value) ?? null, id, lease), LOOK_AROUND_EVERY)
      .catch((error: unknown) =>
        this.host.logger.warn({ err: error, job: id }, 'the progress of a job could not be stored'),
      )
  }

  private newLease(): string {
    return `${this.worker}/${++this.claims}`
  }
}

interface QueueAndPriority {
  readonly queue: string
  readonly priority: number
}

interface DueJob {
  readonly id: string
  readonly runAt: number
}

function byDueTime(a: DueJob, b: DueJob): number {
  return a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
}

function changed({ changes }: { changes: number }): boolean {
  return changes > 0
}

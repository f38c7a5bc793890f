import { Batcher, runInHalves } from '../concurrency/batcher'
import { isConnectionError } from '../database/errors'
import { checkedResults } from '../handlers/contract/checked-enqueue'
import { relayedBy } from '../handlers/contract/built-in'
import type { EnqueueResult, Handler } from '../handlers/contract/handler'
import type { JobEnvelope } from '../job/envelope'
import type { Logger } from '../logger'
import { errorLine, errorMessage } from '../reporting/safe-error'
import { sleep } from '../concurrency/sleep'
import type { OutboxStore, TakenRow } from './outbox-store'
import { withElapsedDelay, jobOf } from './payload'

export interface DeliveryHost {
  readonly source: string
  readonly handler: Handler
  readonly logger: Logger
  /** Called when the handler has a job of this or another process. */
  delivered(job: JobEnvelope): void
  /** Called when the handler refuses a committed job, which is tried again after ever longer delays. */
  refused(job: JobEnvelope, error: unknown): void
}

/** How long a process that has leased rows may push them, in ms. After that, any relay may take them. */
export const LEASE = 5_000
/** A push must arrive this much before the lease ends, in ms. */
const MARGIN = 1_000
const MAX_RETRY_DELAY = 5 * 60_000
const BATCH = 500
/** How often in a row late pushes may fail before they are left to the relays. */
const MOST_FAILURES = 4
/** ms */
const FORGIVE_AFTER = 30_000

/** By `performance.now()`. */
export interface PushTimes {
  /** When the call was made: a delay counts from then. */
  readonly calledAt: number
  /** When the row was written, or a bit earlier: its lease counts from then. */
  readonly writtenAt: number
}

/** Without the job itself, which is in its row. */
interface LateJob {
  readonly id: string
  /** When its row may be leased again, by `performance.now()`. */
  readonly from: number
  /** After this try, the row is left to the process that has leased it, or to the relays. */
  readonly isLastTry: boolean
}

/** Pushes jobs from the outbox to the handler, each once, even when processes die on the way or push at the same time. */
export class Delivery {
  private readonly pushTimes = new WeakMap<JobEnvelope, PushTimes>()
  private readonly pushes: Batcher<JobEnvelope, void | Promise<void>>
  private readonly latePushes: Batcher<LateJob, Promise<void>>
  private readonly underWay = new Set<Promise<void>>()
  /** How many late pushes have failed in a row. */
  private failures = 0
  /** By `performance.now()`. */
  private failedAt = -Infinity

  constructor(
    private readonly host: DeliveryHost,
    private readonly store: OutboxStore,
  ) {
    this.pushes = new Batcher((jobs) => this.pushOwn(jobs), { items: BATCH })
    this.latePushes = new Batcher((jobs) => this.takeAndDeliver(jobs), { items: BATCH })
  }

  /** This process wrote the job, and may push it for as long as the lease of its row. */
  mayPush(job: JobEnvelope, times: PushTimes): void {
    this.pushTimes.set(job, times)
  }

  /** Pushes committed jobs that this process has written. Jobs that fail are left to the relays. */
  async push(jobs: readonly JobEnvelope[]): Promise<void> {
    await Promise.all(jobs.map((job) => this.pushes.add(job)))
  }

  /**
   * Pushes jobs that this or another process has left in the outbox.
   * @returns whether the handler was reached for everything
   */
  async relay(): Promise<boolean> {
    for (;;) {
      const { jobs, until, isLast } = await this.take(BATCH)
      if (jobs.length > 0 && !(await this.deliver(jobs, until))) return false
      if (isLast) return true
    }
  }

  /** Waits for pushes under way. */
  async close(): Promise<void> {
    await this.pushes.idle()
    while (this.underWay.size > 0) await Promise.all(this.underWay)
  }

  private async pushOwn(jobs: readonly JobEnvelope[]): Promise<(void | Promise<void>)[]> {
    const own = new Set(jobs.filter((job) => this.timeLeft(job) > MARGIN))
    const late = new Set(jobs.filter((job) => !own.has(job)))
    if (own.size > 0) {
      const until = performance.now() + Math.min(...[...own].map((job) => this.timeLeft(job)))
      const jobsNow = [...own].map((job) => withElapsedDelay(job, this.age(job)))
      let isReached = true
      await this.noteFailure(
        this.deliver(jobsNow, until).then((reached) => (isReached = reached)),
        own.size,
      )
      // The handler had no time to answer.
      if (!isReached && performance.now() >= until - MARGIN) for (const job of own) late.add(job)
    }
    // Other processes need not wait until the lease ends.
    const lateEnd = late.size > 0 ? this.track(this.noteFailure(this.pushLate([...late]), late.size)) : undefined
    return jobs.map((job) => (late.has(job) ? lateEnd : undefined))
  }

  /**
   * Pushes jobs whose leases have ended before the push, because the transaction took long or made many calls. Their rows
   * are leased again, one batch after the other.
   */
  private async pushLate(jobs: readonly JobEnvelope[]): Promise<void> {
    if (performance.now() - this.failedAt > FORGIVE_AFTER) this.failures = 0
    // The leases of the rows end a bit later, by the time that it took to write them.
    const from = performance.now() + Math.max(0, ...jobs.map((job) => this.timeLeft(job))) + 50
    await Promise.all(jobs.map(({ id }) => this.latePushes.add({ id, from, isLastTry: false })))
  }

  /** Returns one promise for each job, which may include another try. */
  private async takeAndDeliver(late: readonly LateJob[]): Promise<Promise<void>[]> {
    await sleep(Math.max(0, ...late.map(({ from }) => from - performance.now())))
    // The handler or the database has failed again and again, so a relay pushes them later.
    if (this.failures >= MOST_FAILURES) return late.map(() => Promise.resolve())
    const ids = new Set(late.map(({ id }) => id))
    try {
      const taken = await this.take(ids.size, [...ids])
      if (taken.jobs.length > 0 && !(await this.deliver(taken.jobs, taken.until))) return this.tryAllAgain(late)
      this.failures = 0
      // Other processes have or had leases on the other rows, and may have died since, so these rows are tried once more.
      const from = performance.now() + 500
      const again = ({ id, isLastTry }: LateJob) =>
        isLastTry || taken.ids.has(id) ? Promise.resolve() : this.addLate({ id, from, isLastTry: true })
      return late.map(again)
    } catch (error) {
      if (this.failures + 1 >= MOST_FAILURES) throw error
      return this.tryAllAgain(late)
    }
  }

  private tryAllAgain(late: readonly LateJob[]): Promise<void>[] {
    this.failedAt = performance.now()
    const from = this.failedAt + 1_000 * ++this.failures
    return late.map(({ id }) => this.addLate({ id, from, isLastTry: false }))
  }

  private async addLate(job: LateJob): Promise<void> {
    await this.latePushes.add(job)
  }

  private async take(
    limit: number,
    ids?: readonly string[],
  ): Promise<{ jobs: JobEnvelope[]; ids: ReadonlySet<string>; until: number; isLast: boolean }> {
    const until = performance.now() + LEASE
    const rows = await this.store.take(limit, LEASE, ids)
    const taken = new Set(rows.map(({ id }) => id))
    return { jobs: await this.read(rows), ids: taken, until, isLast: rows.length < limit }
  }

  /**
   * Pushes jobs that this process has leased until `until`, and removes their rows. Returns false when the handler
   * cannot be reached.
   */
  private async deliver(jobs: readonly JobEnvelope[], until: number): Promise<boolean> {
    const results = await this.pushAll(jobs, until)
    const pairs = jobs.map((job, index) => ({ job, result: results[index] as EnqueueResult }))
    const stored = pairs.filter(({ result }) => result.state !== 'failed').map(({ job }) => job)
    await this.removeRows(stored.map(({ id }) => id))
    for (const job of stored) this.host.delivered(job)

    const unreached: string[] = []
    for (const { job, result } of pairs) {
      if (result.state !== 'failed') continue
      if (isConnectionError(result.error)) unreached.push(job.id)
      else await this.putOff(job, result.error)
    }
    if (unreached.length === 0) return true
    const failure = pairs.find(({ result }) => result.state === 'failed' && isConnectionError(result.error))?.result
    const reason = failure?.state === 'failed' ? errorLine(failure.error) : ''
    this.host.logger.warn({ reason, jobs: unreached.length }, 'jobs wait in the outbox: the handler cannot be reached')
    await this.store.release(unreached, 0)
    return false
  }

  private pushAll(jobs: readonly JobEnvelope[], until: number): Promise<EnqueueResult[]> {
    const { handler } = this.host
    const relayed = relayedBy(handler)
    const push = relayed
      ? (some: readonly JobEnvelope[]) => relayed.push(some, until - MARGIN - performance.now())
      : (some: readonly JobEnvelope[]) => handler.enqueue(some)
    const pushChecked = async (some: readonly JobEnvelope[]) => checkedResults(await push(some), some.length, handler)
    return runInHalves(jobs, pushChecked, (_, error) => ({ state: 'failed', error }), isConnectionError)
  }

  /** Removes the rows of jobs that the handler has, and then lets the handler forget their ids. */
  private async removeRows(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    await this.store.remove(ids)
    const { handler, logger } = this.host
    const forgotten = relayedBy(handler)?.forget(ids)
    if (!forgotten) return
    void this.track(
      forgotten.catch((error: unknown) => logger.debug({ err: error }, 'the handler forgets pushed jobs later')),
    )
  }

  /** Reads rows. A row that is malformed is put aside, so that the rows behind it are relayed. */
  private async read(rows: readonly TakenRow[]): Promise<JobEnvelope[]> {
    const jobs: JobEnvelope[] = []
    const malformed: string[] = []
    for (const { id, payload, age } of rows) {
      try {
        jobs.push(withElapsedDelay(jobOf(id, payload, this.host.source), age))
      } catch (error) {
        malformed.push(id)
        this.host.logger.error(
          { row: id, reason: errorMessage(error) },
          'a row of the outbox holds no job: remove it, or mend its payload',
        )
      }
    }
    if (malformed.length > 0) await this.store.release(malformed, MAX_RETRY_DELAY)
    return jobs
  }

  /** A job that the handler refuses stays in the outbox. It is tried again after as long as it has been there already. */
  private async putOff(job: JobEnvelope, error: unknown): Promise<void> {
    const age = Date.now() - Date.parse(job.enqueuedAt) || 0
    await this.store.release([job.id], Math.min(Math.max(age, 1_000), MAX_RETRY_DELAY))
    this.host.refused(job, error)
  }

  private timeLeft(job: JobEnvelope): number {
    return (this.pushTimes.get(job)?.writtenAt ?? -Infinity) + LEASE - performance.now()
  }

  private age(job: JobEnvelope): number {
    const now = performance.now()
    return now - (this.pushTimes.get(job)?.calledAt ?? now)
  }

  private async noteFailure(work: Promise<unknown>, jobs: number): Promise<void> {
    try {
      await work
    } catch (error) {
      this.host.logger.warn({ reason: errorLine(error), jobs }, 'jobs wait in the outbox for a worker to relay them')
    }
  }

  private track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.underWay.delete(tracked))
    this.underWay.add(tracked)
    return tracked
  }
}

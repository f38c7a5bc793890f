import { claimedRow, type ClaimedRow } from '../claimed-row'
import { isError } from '../../../reporting/text-of'
import { longestGap } from '../server/gap'
import type { Claimed, AcknowledgeAndClaim, Fence, LeasedJobs, Lane } from '../server/leased-jobs'
import type { RowOutcome } from '../row-outcome'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import type { Changed, Row, Run, Session } from './session'
import type { MariaDbStatements } from './statements'

export interface MariaDbJobsOptions {
  readonly source: string
  readonly worker: string
  /** For people who read the table of workers. */
  readonly name: string
  readonly queues: readonly string[] | null
  /** ms */
  readonly lease: number
}

const TIMEOUT = 15_000
/** How many lanes are found one by one; one statement finds the others. */
const MOST_STEPS = 200

/** What one worker does with the job table of a MariaDB or MySQL database. */
export class MariaDbJobs implements LeasedJobs {
  constructor(
    private readonly session: () => Session,
    private readonly sql: MariaDbStatements,
    private readonly options: MariaDbJobsOptions,
  ) {}

  async check(): Promise<void> {
    await this.session().run(this.sql.columnCheck, [], TIMEOUT)
  }

  async beat(): Promise<boolean> {
    const { worker, source, name, lease } = this.options
    const run: Run = (sql, values = []) => this.session().run(sql, values, lease / 4)
    const contact = await this.contact(run)
    const { affectedRows } = await run<Changed>(this.sql.beat, [contact, worker])
    if (affectedRows > 0) return true
    await run(this.sql.enter, [worker, source, name, contact])
    return false
  }

  async leave(): Promise<void> {
    await this.session().run(this.sql.leave, [this.options.worker], 500)
  }

  acknowledgeAndClaim({ done, slots, lease, lanes }: AcknowledgeAndClaim): Promise<Claimed> {
    return this.fencedTransaction(async (run, change) => {
      const removed = await change(done, (some) => run(this.sql.remove(some.length), this.fenced(some)))
      const leaseLost = new Set(done.filter(({ id }) => !removed.has(id)).map(({ id }) => id))
      if (slots === 0) return { claimed: [], leaseLost, lanes: [] }
      const found = lanes ? [] : await this.lanes(run)
      const claimed = await this.claim(run, lanes ?? found, slots, lease)
      return { claimed, leaseLost, lanes: found }
    })
  }

  claimSuspects(lane: Lane, limit: number, lease: number): Promise<ClaimedRow[]> {
    return this.transaction(async (run) => this.claimRows(run, await this.due(run, lane, limit), lease))
  }

  applyOutcomes(outcomes: readonly (RowOutcome & Fence)[]): Promise<Set<string>> {
    return this.fencedTransaction(async (run, change) => {
      const applied = new Set<string>()
      for (const group of byOutcome(outcomes)) {
        const [{ state, error, suspect, giveBack, releasedSince, delay }] = group as unknown as [RowOutcome]
        const values = [state, error, suspect, giveBack, releasedSince, delay, delay === null]
        const update = (some: readonly Fence[]) =>
          run<Changed>(this.sql.applyOutcomes(some.length), [...values, ...this.fenced(some)])
        for (const id of await change(group, update)) applied.add(id)
      }
      return applied
    })
  }

  reap(lease: number): Promise<ClaimedRow[]> {
    const { worker, source } = this.options
    // The database must decide within a short time, because this worker must still be alive when the answer arrives.
    const timeout = this.options.lease / 4
    return this.session().transaction(async (run) => {
      const contact = await this.contact(run)
      const [isListed] = await run(this.sql.hasBeatenLately, [worker, this.options.lease])
      const mayReap = isListed !== undefined && contact >= this.options.lease
      await this.removeGone(run, mayReap ? contact - this.options.lease : -1)
      if (!mayReap) return []
      const found = (await run(this.sql.orphans, [source])).map(({ id }) => id)
      const lock = () => run(this.sql.lockOrphans(found.length), [...found, source])
      if (found.length === 0 || (await lock()).length === 0) return []
      // Read again, now that the rows are locked, because a worker may have entered and claimed them meanwhile.
      const rows = await lock()
      if (rows.length === 0) return []
      await run(this.sql.takeOver(rows.length), [worker, lease, ...rows.map(({ id }) => id)])
      return rows.map((row) => ({ ...claimedRow(row), lease, suspect: row.suspect === 0 ? 1 : 2 }))
    }, timeout)
  }

  async hasOrphans(): Promise<boolean> {
    const { source, lease } = this.options
    return (await this.session().run(this.sql.orphan, [source, lease], TIMEOUT)).length > 0
  }

  async claimedByThisWorker(): Promise<ClaimedRow[]> {
    const { source, worker } = this.options
    return (await this.session().run(this.sql.held, [source, worker], TIMEOUT)).map(claimedRow)
  }

  /** One statement for each job, so that each finds its row by the key and waits for no other row. */
  async storeProgress(values: readonly (Fence & { readonly progress: string | null })[]): Promise<void> {
    await this.transaction(async (run) => {
      for (const { progress, ...fence } of values) await run(this.sql.progress, [progress, ...this.fenced([fence])])
    })
  }

  async prune(age: number): Promise<boolean> {
    const ids = (await this.session().run(this.sql.prunable, [age, this.options.source], TIMEOUT)).map(({ id }) => id)
    if (ids.length > 0) await this.session().run(this.sql.prune(ids.length), ids, TIMEOUT)
    return ids.length < PRUNED_AT_ONCE
  }

  private async contact(run: Run): Promise<number> {
    const { source, lease } = this.options
    const [row] = await run(this.sql.contact, [longestGap(lease), source])
    return Number(row?.ms ?? 0)
  }

  /**
   * Removes workers that have left, and dead ones.
   * @param until a worker is dead when its last beat is too old and came when the contact was at most this, in ms
   */
  private async removeGone(run: Run, until: number): Promise<void> {
    const { worker, source, lease } = this.options
    const gone = (await run(this.sql.goneWorkers, [source, worker, lease, lease, until])).map(({ id }) => id)
    if (gone.length === 0) return
    const locked = (await run(this.sql.lockGone(gone.length), [...gone, lease, lease, until])).map(({ id }) => id)
    if (locked.length > 0) await run(this.sql.removeGone(locked.length), [...locked, source])
  }

  private async lanes(run: Run): Promise<Lane[]> {
    const { source, queues } = this.options
    const lanes: Lane[] = []
    let last: Pick<Lane, 'queue' | 'priority'> & { suspect: number } = { suspect: -1, queue: '', priority: 0 }
    for (;;) {
      const { suspect, queue, priority } = last
      const above = [source, suspect, suspect, queue, suspect, queue, priority]
      if (lanes.length === MOST_STEPS) {
        lanes.push(...(await run(this.sql.otherLanes, above)).map(laneOf))
        break
      }
      const [row] = await run(this.sql.nextLane, above)
      if (!row) break
      lanes.push((last = laneOf(row)))
    }
    const paused = new Set((await run(this.sql.pausedQueues, [source])).map(({ queue }) => queue))
    return lanes.filter(({ queue }) => !paused.has(queue) && (queues === null || queues.includes(queue)))
  }

  private async claim(run: Run, lanes: readonly Lane[], slots: number, lease: number): Promise<ClaimedRow[]> {
    const claimed: Row[] = []
    for (const lane of this.inOrder(lanes)) {
      if (claimed.length >= slots) break
      claimed.push(...(await this.due(run, lane, slots - claimed.length)))
    }
    return this.claimRows(run, claimed, lease)
  }

  private due(run: Run, { suspect, queue, priority, runAt, id }: Lane, limit: number): Promise<Row[]> {
    return run(this.sql.due, [this.options.source, suspect, queue, priority, runAt, runAt, id, limit])
  }

  private async claimRows(run: Run, rows: readonly Row[], lease: number): Promise<ClaimedRow[]> {
    if (rows.length === 0) return []
    await run(this.sql.claim(rows.length), [this.options.worker, lease, ...rows.map(({ id }) => id)])
    return rows.map((row) => ({ ...claimedRow(row), attempt: Number(row.attempt) + 1, lease }))
  }

  private inOrder(lanes: readonly Lane[]): Lane[] {
    const rank = ({ queue }: Lane) => this.options.queues?.indexOf(queue) ?? 0
    return lanes
      .filter(({ suspect, wait }) => suspect === 0 && wait <= 0)
      .sort((a, b) => rank(a) - rank(b) || a.priority - b.priority || a.runAt - b.runAt)
  }

  /**
   * Runs `work` as if this worker still had a lease on every row. When it has lost one, runs `work` in a new transaction
   * that first checks each lease.
   */
  private async fencedTransaction<T>(work: (run: Run, change: Change) => Promise<T>): Promise<T> {
    const checking = () =>
      this.transaction((run) => work(run, (fences, change) => this.changeHeld(run, fences, change)))
    if (!this.session().rollsBack) return checking()
    try {
      return await this.transaction((run) => work(run, changeAll))
    } catch (error) {
      if (isError(error) && error instanceof NotAllHeldError) return checking()
      throw error
    }
  }

  private async changeHeld(run: Run, fences: readonly Fence[], change: ChangeRows): Promise<Set<string>> {
    if (fences.length === 0) return new Set()
    const held = new Set(
      (await run(this.sql.lockHeld(fences.length), this.fenced(fences))).map(({ id }) => id as string),
    )
    const mine = fences.filter(({ id }) => held.has(id))
    if (mine.length > 0) await change(mine)
    return held
  }

  private fenced(fences: readonly Fence[]): unknown[] {
    return [this.options.worker, ...fences.flatMap(({ id, lease }) => [id, lease])]
  }

  private transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return this.session().transaction(work, TIMEOUT)
  }
}

function laneOf(row: Row): Lane {
  return { ...row, runAt: Number(row.runAt), wait: Number(row.wait), id: '' } as Lane
}

type ChangeRows = (fences: readonly Fence[]) => Promise<Changed>
/** Changes the rows that this worker still has a lease on, and returns their ids. */
type Change = (fences: readonly Fence[], change: ChangeRows) => Promise<ReadonlySet<string>>

class NotAllHeldError extends Error {}

async function changeAll(fences: readonly Fence[], change: ChangeRows): Promise<Set<string>> {
  if (fences.length > 0 && (await change(fences)).affectedRows < fences.length) throw new NotAllHeldError()
  return new Set(fences.map(({ id }) => id))
}

/** Groups jobs with the same outcome, which one statement can store. */
function byOutcome(outcomes: readonly (RowOutcome & Fence)[]): (RowOutcome & Fence)[][] {
  const groups = new Map<string, (RowOutcome & Fence)[]>()
  for (const outcome of outcomes) {
    const { state, error, suspect, giveBack, releasedSince, delay } = outcome
    const key = JSON.stringify([state, error, suspect, giveBack, releasedSince, delay])
    groups.set(key, [...(groups.get(key) ?? []), outcome])
  }
  return [...groups.values()]
}

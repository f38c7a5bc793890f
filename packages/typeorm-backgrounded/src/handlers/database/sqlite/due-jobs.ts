import type { StatementRunner } from '../../../database/sqlite/connection'
import type { ClaimedRow } from '../claimed-row'
import type { DUE, SqliteStatements } from './statements'

/** A job as it will be after the claim. */
export interface DueJob {
  readonly rowid: number
  readonly row: ClaimedRow
}

/** Where a due job stands in its lane. */
type Place = Pick<ClaimedRow, 'id' | 'runAt'>

/** How many suspects may be claimed to run together, and whether one may be claimed that must run without any other. */
export interface SuspectsWanted {
  readonly together: number
  readonly alone: boolean
}

interface Lane {
  readonly suspect: number
  readonly queue: string
  readonly priority: number
  /** Due time of its first job, in ms since the epoch. */
  readonly runAt: number
}

/** Finds the due jobs in the queues that a worker serves, lane by lane, so that jobs of the future are never read. */
export class DueJobs {
  constructor(
    private readonly sql: SqliteStatements,
    private readonly source: string,
    private readonly queues: readonly string[] | '*',
  ) {}

  /**
   * Finds up to `slots` jobs in the order in which they are served, and when, in ms since the epoch, the next one will be
   * due. Suspects come first, because a backlog would leave them no slot.
   * @param lease the lease number of the claim that follows
   */
  find(
    run: StatementRunner,
    slots: number,
    lease: number,
    suspects: SuspectsWanted,
  ): { due: DueJob[]; nextDue: number } {
    const now = Date.now()
    const lanes = this.lanes(run)
    const due: DueJob[] = []
    const add = (which: (lane: Lane) => boolean, most: () => number) => {
      for (const lane of inRanks(lanes.filter(which), this.queues)) {
        if (most() <= 0) break
        due.push(...this.dueIn(run, lane, lease, now, most()))
      }
    }
    add(
      ({ suspect }) => suspect === 1,
      () => Math.min(slots, suspects.together) - due.length,
    )
    add(
      ({ suspect }) => suspect > 1,
      () => (suspects.alone && due.length === 0 ? 1 : 0),
    )
    add(
      ({ suspect }) => suspect < 1,
      () => slots - due.length,
    )
    return { due, nextDue: Math.min(Infinity, ...lanes.map(({ runAt }) => runAt).filter((runAt) => runAt > now)) }
  }

  private dueIn(run: StatementRunner, lanes: readonly Lane[], lease: number, now: number, limit: number): DueJob[] {
    const { sql, source } = this
    const within = ({ suspect, queue, priority }: Lane, limit: number) =>
      [source, suspect, queue, priority, now, limit] as const
    const read = (lane: Lane, limit: number) =>
      run(sql.due)
        .raw()
        .all(...within(lane, limit))
        .map((columns) => dueJob(columns as DueColumns, lane, lease))
    const [lane, ...others] = lanes
    if (!lane) return []
    if (others.length === 0) return read(lane, limit)
    const places = lanes.flatMap((lane) =>
      (run(sql.duePlaces).all(...within(lane, limit)) as Place[]).map((place) => ({ ...place, lane })),
    )
    const first = places.sort(inLine).slice(0, limit)
    const numbers = new Map<Lane, number>()
    for (const { lane } of first) numbers.set(lane, (numbers.get(lane) ?? 0) + 1)
    return [...numbers].flatMap(([lane, number]) => read(lane, number)).sort(byDueTime)
  }

  /** The lanes with waiting jobs that this worker serves. */
  private lanes(run: StatementRunner): Lane[] {
    const { sql, source, queues } = this
    const paused = new Set((run(sql.pausedQueues).all(source) as { queue: string }[]).map(({ queue }) => queue))
    const lanes: Lane[] = []
    for (let lane = this.laneAfter(run); lane; lane = this.laneAfter(run, lane)) lanes.push(lane)
    return lanes.filter(({ queue }) => !paused.has(queue) && (queues === '*' || queues.includes(queue)))
  }

  private laneAfter(run: StatementRunner, last?: Lane): Lane | undefined {
    const { sql } = this
    const first = (statement: string, ...above: unknown[]) =>
      run(statement).get(this.source, ...above) as Lane | undefined
    if (!last) return first(sql.nextSuspect, -1)
    const { suspect, queue, priority } = last
    return (
      first(sql.nextPriority, suspect, queue, priority) ??
      first(sql.nextQueue, suspect, queue) ??
      first(sql.nextSuspect, suspect)
    )
  }
}

/** Groups lanes of the same rank, which are served together, in the order in which they are served. */
function inRanks(lanes: readonly Lane[], queues: readonly string[] | '*'): Lane[][] {
  const rank = ({ queue, priority }: Lane) => (queues === '*' ? 0 : queues.indexOf(queue)) * 1e9 + priority
  const ranks = [...new Set(lanes.map(rank))].sort((a, b) => a - b)
  return ranks.map((each) => lanes.filter((lane) => rank(lane) === each))
}

type ColumnsOf<Names extends readonly (keyof ClaimedRow)[]> = { [Index in keyof Names]: ClaimedRow[Names[Index]] }
type DueColumns = readonly [...ColumnsOf<typeof DUE>, attempt: number, rowid: number]

/**
 * Reads columns by index, because the driver and the engine take longer with names. The lane adds what its jobs share.
 */
function dueJob(columns: DueColumns, { suspect, queue, priority }: Lane, lease: number): DueJob {
  const row: ClaimedRow = {
    id: columns[0],
    entity: columns[1],
    key: columns[2],
    method: columns[3],
    args: columns[4],
    types: columns[5],
    queue,
    priority,
    runAt: columns[6],
    enqueuedAt: columns[7],
    meta: columns[8],
    attempts: columns[9],
    attempt: columns[11],
    suspect,
    lease,
    releasedSince: columns[10],
  }
  return { row, rowid: columns[12] }
}

function byDueTime(a: DueJob, b: DueJob): number {
  return inLine(a.row, b.row)
}

function inLine(a: Place, b: Place): number {
  return a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
}

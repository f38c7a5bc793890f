import type { StatementRunner } from '../../../sqlite-connection'
import { CLAIMED, rowOfColumns, type ClaimedRow } from '../claimed-row'
import type { SqliteStatements } from './statements'

/** A job as it will be once it is claimed. */
export interface DueJob {
  readonly rowid: number
  readonly row: ClaimedRow
}

/** Where a due job is, and its place in the line. */
interface Place {
  readonly rowid: number
  readonly id: string
  readonly runAt: number
}

interface Level {
  readonly suspect: number
  readonly queue: string
  readonly priority: number
  /** Of the first job in it. */
  readonly runAt: number
}

/** What is due of the queues that a worker serves, found level by level: future jobs are never walked. */
export class DueJobs {
  constructor(
    private readonly sql: SqliteStatements,
    private readonly source: string,
    private readonly queues: readonly string[] | '*',
  ) {}

  /**
   * Up to `slots` jobs in the order in which they are served, and when, in ms since the epoch, the next one will be due.
   * @param lease of the claim that is to come
   * @param takesSuspect one of those that killed a worker may be among them
   */
  find(run: StatementRunner, slots: number, lease: number, takesSuspect: boolean): { due: DueJob[]; nextDue: number } {
    const now = Date.now()
    const levels = this.levels(run)
    const due: DueJob[] = []
    for (const level of inRanks(levels, this.queues)) {
      if (due.length >= slots) break
      const suspects = takesSuspect ? this.dueIn(run, level.filter(isSuspect), lease, now, 1) : []
      const jobs = this.dueIn(run, level.filter(isPlain), lease, now, slots - due.length)
      const first = suspects.length === 0 ? jobs : [...jobs, ...suspects].sort(byDueTime).slice(0, slots - due.length)
      if (suspects.some((job) => first.includes(job))) takesSuspect = false
      due.push(...first)
    }
    return { due, nextDue: Math.min(Infinity, ...levels.map(({ runAt }) => runAt).filter((runAt) => runAt > now)) }
  }

  private dueIn(run: StatementRunner, levels: readonly Level[], lease: number, now: number, limit: number): DueJob[] {
    const { sql, source } = this
    const within = ({ suspect, queue, priority }: Level) => [source, suspect, queue, priority, now, limit]
    const read = (statement: string, parameters: readonly unknown[]) =>
      run(statement)
        .raw()
        .all(lease, ...parameters)
        .map(dueJob)
    const [level, ...others] = levels
    if (!level) return []
    if (others.length === 0) return read(sql.due, within(level))
    const places = levels.flatMap((each) => run(sql.duePlaces).all(...within(each)) as Place[])
    const first = places.sort(inLine).slice(0, limit)
    return read(sql.duePlaced, [JSON.stringify(first.map(({ rowid }) => rowid))]).sort(byDueTime)
  }

  /** Those with waiting jobs that this worker serves. */
  private levels(run: StatementRunner): Level[] {
    const { sql, source, queues } = this
    const paused = new Set((run(sql.pausedQueues).all(source) as { queue: string }[]).map(({ queue }) => queue))
    const levels: Level[] = []
    for (let level = this.levelAfter(run); level; level = this.levelAfter(run, level)) levels.push(level)
    return levels.filter(({ queue }) => !paused.has(queue) && (queues === '*' || queues.includes(queue)))
  }

  private levelAfter(run: StatementRunner, last?: Level): Level | undefined {
    const { sql } = this
    const first = (statement: string, ...above: unknown[]) =>
      run(statement).get(this.source, ...above) as Level | undefined
    if (!last) return first(sql.nextSuspect, -1)
    const { suspect, queue, priority } = last
    return (
      first(sql.nextPriority, suspect, queue, priority) ??
      first(sql.nextQueue, suspect, queue) ??
      first(sql.nextSuspect, suspect)
    )
  }
}

/** In the order in which they are served; levels of one rank are served together. */
function inRanks(levels: readonly Level[], queues: readonly string[] | '*'): Level[][] {
  const rank = ({ queue, priority }: Level) => (queues === '*' ? 0 : queues.indexOf(queue)) * 1e9 + priority
  const ranks = [...new Set(levels.map(rank))].sort((a, b) => a - b)
  return ranks.map((each) => levels.filter((level) => rank(level) === each))
}

function isSuspect({ suspect }: Level): boolean {
  return suspect === 1
}

function isPlain({ suspect }: Level): boolean {
  return suspect === 0
}

function dueJob(columns: unknown): DueJob {
  return { row: rowOfColumns(columns), rowid: (columns as number[])[CLAIMED.length] as number }
}

function byDueTime(a: DueJob, b: DueJob): number {
  return inLine(a.row, b.row)
}

function inLine(a: Pick<Place, 'runAt' | 'id'>, b: Pick<Place, 'runAt' | 'id'>): number {
  return a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
}

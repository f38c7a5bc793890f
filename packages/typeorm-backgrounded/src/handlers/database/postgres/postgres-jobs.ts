import { claimedRow, type ClaimedRow } from '../claimed-row'
import { longestGap } from '../server/gap'
import type { Claimed, AcknowledgeAndClaim, Fence, LeasedJobs, Lane } from '../server/leased-jobs'
import type { RowOutcome } from '../row-outcome'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import type { Prefetch } from './prefetch'
import type { ClaimStatement, PostgresStatements } from './statements'

export type Query = <Row>(text: string, values: readonly unknown[], timeout: number) => Promise<Row[]>

export interface PostgresJobsOptions {
  readonly query: Query
  readonly sql: PostgresStatements
  readonly source: string
  readonly worker: string
  /** For people who read the table of workers. */
  readonly name: string
  readonly queues: readonly string[] | null
  /** ms */
  readonly lease: number
}

/** The options that can be sent to a thread. */
export type PostgresWorkerOptions = Omit<PostgresJobsOptions, 'query' | 'sql'>

/** ms */
const TIMEOUT = 15_000

/** What one worker does with the job table of a Postgres database. */
export class PostgresJobs implements LeasedJobs {
  constructor(
    private readonly options: PostgresJobsOptions,
    private readonly prefetch?: Prefetch,
  ) {}

  async check(): Promise<void> {
    await this.query(this.options.sql.columnCheck, [])
  }

  async beat(): Promise<boolean> {
    const { sql, worker, source, name, lease } = this.options
    const [found] = await this.query(sql.beat, [worker, longestGap(lease), source], lease / 4)
    if (found) return true
    await this.query(sql.enter, [worker, source, name, longestGap(lease)], lease / 4)
    return false
  }

  async leave(): Promise<void> {
    await this.query(this.options.sql.leave, [this.options.worker], 500)
  }

  async acknowledgeAndClaim(request: AcknowledgeAndClaim): Promise<Claimed> {
    const { queues } = this.options
    const { statement, values } = this.claimStatementOf(request)
    const query = request.slots > 0 ? this.prefetch?.next() : undefined
    const withRows =
      query && (await this.prefetch?.query<ReplyRow>(query, statement.withKeys, [...values, query.entity], TIMEOUT))
    const rows = withRows?.rows ?? (await this.query<ReplyRow>(statement.alone, values))
    const of = (kind: ReplyRow['kind']) => rows.filter((row) => row.kind === kind)
    return {
      claimed: of('claimed').map(claimedRow).sort(inOrder(queues)),
      leaseLost: new Set(of('leaseLost').map(({ id }) => id)),
      lanes: of('lane').map((row) => ({ ...claimedRow(row), wait: Number(row.wait) }) as unknown as Lane),
      prefetched: withRows?.prefetched,
    }
  }

  async claimSuspects(lane: Lane, limit: number, lease: number): Promise<ClaimedRow[]> {
    const { sql, source, worker } = this.options
    const { suspect, queue, priority, runAt, id } = lane
    const values = [source, queue, worker, lease, priority, bigint(runAt), id, limit, suspect]
    return (await this.query(sql.claimSuspects, values)).map(claimedRow)
  }

  async applyOutcomes(outcomes: readonly (RowOutcome & Fence)[]): Promise<Set<string>> {
    const { sql, worker } = this.options
    const rows = await this.query<{ id: string }>(sql.applyOutcomes, [JSON.stringify(outcomes), worker])
    return new Set(rows.map(({ id }) => id))
  }

  async reap(lease: number): Promise<ClaimedRow[]> {
    const { sql, worker, source } = this.options
    // The database must decide within a short time, because this worker must still be alive when the answer arrives.
    const rows = await this.query(
      sql.reap,
      [worker, lease, this.options.lease, source, longestGap(this.options.lease)],
      this.options.lease / 4,
    )
    return rows.map(claimedRow)
  }

  async hasOrphans(): Promise<boolean> {
    const { sql, source, lease } = this.options
    return (await this.query(sql.orphan, [source, lease])).length > 0
  }

  async claimedByThisWorker(): Promise<ClaimedRow[]> {
    const { sql, source, worker } = this.options
    return (await this.query(sql.held, [source, worker])).map(claimedRow)
  }

  async storeProgress(values: readonly (Fence & { readonly progress: string | null })[]): Promise<void> {
    const { sql, worker } = this.options
    await this.query(sql.progress, [JSON.stringify(values), worker])
  }

  async prune(age: number): Promise<boolean> {
    const pruned = await this.query(this.options.sql.prune, [this.options.source, age])
    return pruned.length < PRUNED_AT_ONCE
  }

  private claimStatementOf({ done, slots, lease, lanes }: AcknowledgeAndClaim): {
    statement: ClaimStatement
    values: unknown[]
  } {
    const { sql, source, worker, queues } = this.options
    const claim = [worker, lease, slots, done.map(({ id }) => id), done.map((each) => each.lease)]
    if (!lanes) return { statement: sql.claimFromAllLanes, values: [source, queues, ...claim] }
    const [lane, ...more] = lanes
    if (lane?.suspect !== 0 || more.length > 0)
      return { statement: sql.claimFromCursors, values: [source, queues, ...claim, ...columnsOf(lanes)] }
    // The usual case. The statement for several lanes would take a tenth longer.
    const cursor = [lane.priority, bigint(lane.runAt), lane.id]
    return { statement: sql.claimFromCursor, values: [source, lane.queue, ...claim, ...cursor] }
  }

  private query<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[],
    timeout = TIMEOUT,
  ): Promise<Row[]> {
    return this.options.query<Row>(text, values, timeout)
  }
}

type ReplyRow = Record<string, unknown> & { readonly kind: 'claimed' | 'leaseLost' | 'lane'; readonly id: string }

function columnsOf(lanes: readonly Lane[]): unknown[] {
  const column = (name: keyof Lane) => lanes.map((lane) => lane[name])
  const runAt = lanes.map((lane) => bigint(lane.runAt))
  return [column('suspect'), column('queue'), column('priority'), runAt, column('id')]
}

const FARTHEST = 2 ** 63 - 1024

/**
 * As text. A row that was written by hand may hold any time, and a JavaScript number close to 2^63 would not fit the
 * column.
 */
function bigint(time: number): string {
  return String(BigInt(Math.min(time, FARTHEST)))
}

/** Sorts claimed jobs, because UPDATE … RETURNING returns them in any order. */
function inOrder(queues: readonly string[] | null) {
  const rank = ({ queue }: ClaimedRow) => queues?.indexOf(queue) ?? 0
  return (a: ClaimedRow, b: ClaimedRow) =>
    rank(a) - rank(b) || a.priority - b.priority || a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
}

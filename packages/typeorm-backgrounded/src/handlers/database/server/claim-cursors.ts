import type { ClaimedRow } from '../claimed-row'
import type { Claimed, Lane } from './leased-jobs'

/** Full scans may use at most 1/FULL_SCAN_SHARE of a worker's time. */
const FULL_SCAN_SHARE = 10

/**
 * Where the next claim starts in each lane. A database keeps the index entries of finished jobs for as long as an old
 * snapshot may need them, and a claim that starts behind the last claimed job does not walk over them again. A job can
 * also appear behind a cursor: its transaction committed late, or another worker released it. A full scan, which starts
 * every lane at its beginning, finds such jobs. It is due when a claim from the cursors finds nothing, and otherwise as
 * often as it is cheap.
 */
export class ClaimCursors {
  private known: readonly Lane[] | undefined
  /** In ms, by `performance.now()`. */
  private nextFullScanAt = -Infinity

  /** Where the next claim starts. Undefined when a full scan is due. */
  get current(): readonly Lane[] | undefined {
    return performance.now() >= this.nextFullScanAt ? undefined : this.known
  }

  /** ms until a full scan may run again. */
  get untilFullScan(): number {
    return Math.max(0, this.nextFullScanAt - performance.now())
  }

  knows(queue: string, priority: number): boolean {
    return this.known?.some((lane) => lane.queue === queue && lane.priority === priority) ?? false
  }

  /** Makes the next claim a full scan. */
  forget(): void {
    this.nextFullScanAt = -Infinity
  }

  /**
   * Moves the cursors behind the claimed jobs.
   * @param took how long the claim took, in ms
   */
  advance(wasFullScan: boolean, took: number, { lanes, claimed }: Claimed): void {
    if (wasFullScan) this.nextFullScanAt = performance.now() + (FULL_SCAN_SHARE - 1) * took
    const unseen = wasFullScan ? [] : (this.known ?? []).filter((one) => !lanes.some((other) => isSame(one, other)))
    this.known = [...lanes, ...unseen].map((lane) => moved(lane, claimed))
  }
}

/** Moves a cursor to the last job that was claimed from its lane, because jobs are claimed in order. */
function moved(lane: Lane, claimed: readonly ClaimedRow[]): Lane {
  const last = claimed.findLast((row) => isInside(row, lane))
  return last && isLater(last, lane) ? { ...lane, runAt: last.runAt, id: last.id } : lane
}

function isInside(row: ClaimedRow, lane: Lane): boolean {
  return row.suspect === lane.suspect && row.queue === lane.queue && row.priority === lane.priority
}

function isSame(one: Lane, other: Lane): boolean {
  return one.suspect === other.suspect && one.queue === other.queue && one.priority === other.priority
}

function isLater(one: { runAt: number; id: string }, other: { runAt: number; id: string }): boolean {
  return one.runAt > other.runAt || (one.runAt === other.runAt && one.id > other.id)
}

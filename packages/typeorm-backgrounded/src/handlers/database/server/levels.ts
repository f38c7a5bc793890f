import type { ClaimedRow } from '../claimed-row'
import type { ExchangeReply, Level } from './leased-jobs'

/** A look without marks may take this part of the time, one in so many. */
const SHARE = 10

/**
 * Where the waiting jobs begin, level by level. A database keeps the index entries of finished jobs for as long as an
 * old snapshot may look at them; a claim that starts at the last job that was claimed does not walk them again.
 * What lands below such a mark (a transaction that committed late, a job that another worker let go of) is found by
 * looking without marks, which is done again when nothing is found, and otherwise as often as it is cheap.
 */
export class Levels {
  private known: readonly Level[] | undefined
  /** By `performance.now()`. */
  private anewAt = -Infinity

  /** Where to look now; nothing: everywhere. */
  get marks(): readonly Level[] | undefined {
    return performance.now() >= this.anewAt ? undefined : this.known
  }

  /** ms until a look without marks is affordable again. */
  get untilAnew(): number {
    return Math.max(0, this.anewAt - performance.now())
  }

  knows(queue: string, priority: number): boolean {
    return this.known?.some((level) => level.queue === queue && level.priority === priority) ?? false
  }

  /** The next look is one without marks. */
  forget(): void {
    this.anewAt = -Infinity
  }

  /** @param took ms */
  looked(wasAnew: boolean, took: number, { levels, claimed }: ExchangeReply): void {
    if (wasAnew) this.anewAt = performance.now() + (SHARE - 1) * took
    const unseen = wasAnew ? [] : (this.known ?? []).filter((one) => !levels.some((other) => isSame(one, other)))
    this.known = [...levels, ...unseen].map((level) => moved(level, claimed))
  }
}

/** Up to the last job that was claimed from it: they come in order. */
function moved(level: Level, claimed: readonly ClaimedRow[]): Level {
  const last = claimed.findLast((row) => isInside(row, level))
  return last && isLater(last, level) ? { ...level, runAt: last.runAt, id: last.id } : level
}

function isInside(row: ClaimedRow, level: Level): boolean {
  return row.suspect === level.suspect && row.queue === level.queue && row.priority === level.priority
}

function isSame(one: Level, other: Level): boolean {
  return one.suspect === other.suspect && one.queue === other.queue && one.priority === other.priority
}

function isLater(one: { runAt: number; id: string }, other: { runAt: number; id: string }): boolean {
  return one.runAt > other.runAt || (one.runAt === other.runAt && one.id > other.id)
}

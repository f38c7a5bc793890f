import type { QueryRunner } from 'typeorm'

/**
 * Runs what sends statements through an application's query runner one after the other, because a client of pg takes one
 * query at a time: it queues the others today, and pg 9 will refuse them.
 */
export class RunnerTurns {
  private readonly last = new WeakMap<QueryRunner, Promise<unknown>>()

  take<T>(runner: QueryRunner, work: () => Promise<T>): Promise<T> {
    const turn = (this.last.get(runner) ?? Promise.resolve()).then(work)
    this.last.set(
      runner,
      turn.catch(() => {}),
    )
    return turn
  }
}

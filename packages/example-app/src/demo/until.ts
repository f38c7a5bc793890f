import { setTimeout as pause } from 'node:timers/promises'

/** Resolves with the first thing that `look` returns; rejects when `deadline` aborts, saying what never came. */
export async function until<T>(what: string, deadline: AbortSignal, look: () => T | undefined): Promise<T> {
  for (;;) {
    const seen = look()
    if (seen !== undefined) return seen
    if (deadline.aborted) throw new Error(`the time is up, still waiting for ${what}`)
    await pause(20)
  }
}

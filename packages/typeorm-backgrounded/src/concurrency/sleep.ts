/** The longest delay of `setTimeout` and `setInterval`; with a longer one they do not wait at all. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** Resolves after `delay` ms (24 days at most), or when `signal` aborts. */
export function sleep(delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.min(delay, LONGEST_TIMER))
    signal?.addEventListener('abort', done)
  })
}

/** Calls `work` after `delay` ms, which may be longer than a timer can wait. Returns a function that cancels it. */
export function after(delay: number, work: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = (left: number) => {
    const now = Math.min(left, LONGEST_TIMER)
    timer = setTimeout(() => (left > now ? wait(left - now) : work()), Math.max(0, now))
  }
  wait(delay)
  return () => clearTimeout(timer)
}

/** A promise, and the function that resolves it. */
export function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

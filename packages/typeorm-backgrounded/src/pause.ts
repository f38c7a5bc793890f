/** What `setTimeout` can count to; beyond it, it does not wait at all. */
const LONGEST_TIMER = 2 ** 31 - 1

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

/** A promise, and what resolves it. */
export function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

import { isConflictError } from './errors'
import { sleep } from '../concurrency/sleep'

const TRIES = 5

/**
 * Runs `work`, and again after a conflict with another transaction: a deadlock, a lock timeout, a serialization failure.
 * @param timeout ms; after half of it, `work` is not started again
 */
export async function retried<T>(work: () => Promise<T>, timeout: number): Promise<T> {
  const start = performance.now()
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries >= TRIES || !isConflictError(error) || performance.now() - start >= timeout / 2) throw error
    }
    await sleep(10 * tries * Math.random())
  }
}

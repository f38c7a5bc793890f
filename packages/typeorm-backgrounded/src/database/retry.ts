import { isConflictError } from './errors'
import { sleep } from '../concurrency/sleep'

const TRIES = 5

/**
 * Runs `work` again where another transaction stood in its way: a deadlock, a lock that took too long, a serialization
 * failure.
 * @param timeout ms; after half of it, it is not begun again
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

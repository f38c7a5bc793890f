import { isConflictError } from '../../../database-errors'
import { sleep } from '../../../pause'

const TRIES = 5

/** Runs `work` again where another transaction stood in its way: a deadlock, a lock that took too long, a serialization failure. */
export async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries >= TRIES || !isConflictError(error)) throw error
    }
    await sleep(10 * tries * Math.random())
  }
}

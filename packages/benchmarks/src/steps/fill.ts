import { userIdOf } from '../model/users'
import type { ManyOptions } from '../sides/side'
import type { Step } from './index'

export interface FillSettings extends ManyOptions {
  readonly jobs: number
  /** Jobs in one write. */
  readonly chunk: number
}

/** Enqueues many jobs, some in each write. Returns the jobs a second. */
export const fill: Step<FillSettings, number> = async (side, { jobs, chunk, ...options }) => {
  const start = performance.now()
  for (let from = 0; from < jobs; from += chunk) {
    const ids = Array.from({ length: Math.min(chunk, jobs - from) }, (_, index) => userIdOf(from + index))
    await side.enqueueMany(ids, options)
  }
  await side.settled?.()
  return jobs / ((performance.now() - start) / 1_000)
}

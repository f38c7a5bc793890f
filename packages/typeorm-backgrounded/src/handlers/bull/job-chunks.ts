import type { NewJob } from './scripts/enqueue'

/**
 * Chunks of at most 500 jobs and about 1 MB each, because Redis does nothing else while a script runs.
 * Jobs that cannot be stored are left out.
 */
export function inChunks(jobs: readonly (NewJob | Error)[]): NewJob[][] {
  const all: NewJob[][] = []
  let size = 0
  for (const job of jobs) {
    if (job instanceof Error) continue
    const last = all.at(-1)
    if (!last || last.length >= 500 || size + job.data.length > 1_000_000) {
      all.push([job])
      size = job.data.length
    } else {
      last.push(job)
      size += job.data.length
    }
  }
  return all
}

import type { EntityManager } from 'typeorm'
import { consoleLogger } from '../logger'
import { guarded } from '../reporting/guarded-logger'
import { runInJob, type CurrentJob } from '../worker/job-context'

/**
 * Runs `work` as if it were the method of a job, so that `currentJob()` works in a unit test.
 * @param fields the fields of `currentJob()`; all have a default except `manager`, which is undefined unless given
 */
export function runAsJob<T>(work: () => T, fields: Partial<CurrentJob> = {}): T {
  return runInJob(
    {
      id: 'test',
      entity: 'Test',
      method: 'test',
      queue: 'default',
      attempt: 1,
      attempts: 10,
      enqueuedAt: new Date(),
      manager: undefined as unknown as EntityManager,
      signal: new AbortController().signal,
      progress: () => {},
      log: guarded(consoleLogger),
      ...fields,
    },
    work,
  )
}

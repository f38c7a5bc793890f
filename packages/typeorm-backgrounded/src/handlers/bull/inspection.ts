import type { Job, JobStatus, Queue } from 'bull'
import { isDeepStrictEqual } from 'node:util'
import { InvalidOptionError } from '../../errors'
import { milliseconds } from '../../job/duration'
import type { JobEnvelope } from '../../job/envelope'
import { isJsonObject } from '../../job/json'
import type { Inspectable, InspectedJob, JobQuery, JobState } from '../handler'
import type { Commands } from './commands'
import type { Script } from './scripts/script'
import { discardedIds, dropJobs, listQueues, pruneKept, retryKept, suspectIds } from './scripts/inspect'

type BullStatus = JobStatus | 'paused'

/** Bull's lists for each state. A discarded job is kept among the failed ones, and is in a set beside them. */
const LISTS: Readonly<Record<JobState, readonly BullStatus[]>> = {
  waiting: ['waiting', 'paused', 'delayed'],
  running: ['active'],
  completed: ['completed'],
  failed: ['failed'],
  discarded: ['failed'],
}
const KEPT = ['completed', 'failed', 'discarded'] as const
const PAGE = 100
const TIMEOUT = 5_000

/** Looks at the jobs of one data source, and changes them by hand, on Bull's own data. */
export class BullInspection implements Inspectable {
  constructor(
    private readonly source: string,
    private readonly commands: Commands,
    private readonly queue: (name: string) => Queue,
  ) {}

  /** The newest first within each state of each queue. Walks the jobs of these states: name a queue and a state where there are many. */
  async find(query: JobQuery = {}): Promise<InspectedJob[]> {
    const { limit = 100, state } = query
    const isWanted = matching(query)
    const found: InspectedJob[] = []
    for (const name of query.queue === undefined ? await this.queues() : [query.queue]) {
      for (const each of state ? [state] : (Object.keys(LISTS) as JobState[])) {
        for await (const job of this.jobs(name, each)) {
          if (found.length >= limit) return found
          if (isWanted(job)) found.push(job)
        }
      }
    }
    return found
  }

  async counts(): Promise<Record<JobState, number>> {
    const counts = { waiting: 0, running: 0, completed: 0, failed: 0, discarded: 0 }
    for (const name of await this.queues()) {
      const { waiting, active, completed, failed, delayed, paused } = await this.bounded(
        this.queue(name).getJobCounts() as Promise<Counts>,
      )
      const discarded = (await this.run(discardedIds, [name])).length
      const suspects = (await this.run(suspectIds, [name])).length
      counts.waiting += waiting + delayed + paused + suspects
      counts.running += active
      counts.completed += completed
      counts.failed += failed - discarded
      counts.discarded += discarded
    }
    return counts
  }

  retry(ids: readonly string[]): Promise<number> {
    return this.run(retryKept, ids)
  }

  discard(ids: readonly string[]): Promise<number> {
    return this.run(dropJobs, ids)
  }

  async pause(queue: string): Promise<void> {
    await this.bounded(this.queue(queue).pause())
  }

  async resume(queue: string): Promise<void> {
    await this.bounded(this.queue(queue).resume())
  }

  async prune({ before, state }: { before: Date; state?: JobState }): Promise<number> {
    if (Number.isNaN(before.getTime())) throw new InvalidOptionError('prune: before is no valid Date.')
    let total = 0
    for (const name of await this.queues()) {
      for (const kept of KEPT.filter((each) => state === undefined || each === state)) {
        let removed: number
        do total += removed = await this.run(pruneKept, [name, before.getTime(), kept])
        while (removed > 0)
      }
    }
    return total
  }

  private async *jobs(name: string, state: JobState): AsyncGenerator<InspectedJob> {
    const discarded = LISTS[state].includes('failed') ? new Set(await this.run(discardedIds, [name])) : new Set()
    const queue = this.queue(name)
    for (let start = 0; ; start += PAGE) {
      const lists = [...LISTS[state]] as JobStatus[]
      const jobs = (await this.bounded(queue.getJobs(lists, start, start + PAGE - 1))) as (Job | null)[]
      for (const job of jobs) {
        if (!job) continue // it has gone meanwhile
        if (state === 'failed' && discarded.has(job.id)) continue
        if (state === 'discarded' && !discarded.has(job.id)) continue
        yield this.inspected(job, state, name)
      }
      if (jobs.length === 0) break
    }
    if (state !== 'waiting') return
    for (const id of await this.run(suspectIds, [name])) {
      const job = await this.bounded(queue.getJob(id))
      if (job) yield this.inspected(job, state, name)
    }
  }

  private inspected(job: Job, state: JobState, queue: string): InspectedJob {
    const enqueuedAt = new Date(job.timestamp || 0)
    const { delay = 0 } = job as unknown as { delay?: number }
    const envelope = {
      v: 1,
      source: this.source,
      args: [],
      priority: 0,
      enqueuedAt: enqueuedAt.toISOString(),
      runAt: new Date(enqueuedAt.getTime() + (delay || 0)).toISOString(),
      meta: {},
      ...(isJsonObject(job.data) ? job.data : {}),
      id: String(job.id),
      queue,
    } as unknown as JobEnvelope
    const [stack] = job.stacktrace ?? []
    return { id: String(job.id), state, envelope, attempt: job.attemptsMade, error: stack ?? job.failedReason }
  }

  private async queues(): Promise<string[]> {
    return (await this.run(listQueues, [])).sort()
  }

  private bounded<T>(work: Promise<T>): Promise<T> {
    return this.commands.bounded(work, TIMEOUT)
  }

  private run<Reply>(script: Script<Reply>, request: readonly (string | number)[]): Promise<Reply> {
    return this.commands.run(script, request, TIMEOUT)
  }
}

type Counts = Record<'waiting' | 'active' | 'completed' | 'failed' | 'delayed' | 'paused', number>

/** Ages count from now, the moment of the question. */
function matching({ entity, method, key, olderThan, newerThan }: JobQuery): (job: InspectedJob) => boolean {
  const now = Date.now()
  const latest = olderThan === undefined ? Infinity : now - milliseconds(olderThan, 'find: olderThan')
  const earliest = newerThan === undefined ? -Infinity : now - milliseconds(newerThan, 'find: newerThan')
  return ({ envelope }) => {
    const enqueuedAt = Date.parse(envelope.enqueuedAt)
    return (
      (entity === undefined || envelope.entity === entity) &&
      (method === undefined || envelope.method === method) &&
      (key === undefined || isDeepStrictEqual(envelope.key, key)) &&
      enqueuedAt < latest &&
      enqueuedAt >= earliest
    )
  }
}

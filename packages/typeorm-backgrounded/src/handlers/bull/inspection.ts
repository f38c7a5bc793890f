import { isDeepStrictEqual } from 'node:util'
import { milliseconds } from '../../job/duration'
import type { Inspectable, InspectedJob, JobQuery, JobState } from '../contract/inspectable'
import { checkedIds, checkedPrune, checkedQuery, checkedQueue } from '../contract/inspection-arguments'
import type { Commands } from './commands'
import { inspectedJob } from './job-record'
import type { Script } from './scripts/script'
import {
  countJobs,
  discardedIds,
  dropJobs,
  listJobs,
  listQueues,
  pruneKept,
  retryKept,
  setPaused,
} from './scripts/inspect'

/** The lists and sets of each state. A discarded job is kept among the failed ones, and is in a set beside them. */
const LISTS: Readonly<Record<JobState, readonly string[]>> = {
  waiting: ['wait', 'paused', 'delayed', 'suspects', 'lone-suspects'],
  running: ['active'],
  completed: ['completed'],
  failed: ['failed'],
  discarded: ['failed'],
}
const KEPT = ['completed', 'failed', 'discarded'] as const
const PAGE = 100
const TIMEOUT = 5_000

/** Inspects the jobs of one data source, and changes them by hand. */
export class BullInspection implements Inspectable {
  constructor(
    private readonly source: string,
    private readonly commands: Commands,
  ) {}

  /** The newest first within each state of each queue. Walks the jobs of these states: name a queue and a state where there are many. */
  async find(query: JobQuery = {}): Promise<InspectedJob[]> {
    const { limit = 100, state } = checkedQuery(query)
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
      const { waiting, running, completed, failed } = await this.run(countJobs, [name])
      const discarded = (await this.run(discardedIds, [name])).length
      counts.waiting += waiting
      counts.running += running
      counts.completed += completed
      counts.failed += failed - discarded
      counts.discarded += discarded
    }
    return counts
  }

  async retry(ids: readonly string[]): Promise<number> {
    return this.run(retryKept, checkedIds(ids, 'retry'))
  }

  async discard(ids: readonly string[]): Promise<number> {
    return this.run(dropJobs, checkedIds(ids, 'discard'))
  }

  async pause(queue: string): Promise<void> {
    await this.run(setPaused, [checkedQueue(queue, 'pause'), 'paused'])
  }

  async resume(queue: string): Promise<void> {
    await this.run(setPaused, [checkedQueue(queue, 'resume'), 'resumed'])
  }

  async prune(query: { before: Date; state?: JobState }): Promise<number> {
    const { before, state } = checkedPrune(query)
    let total = 0
    for (const name of await this.queues()) {
      for (const kept of KEPT.filter((each) => state === undefined || each === state)) {
        let removed: number
        do total += removed = await this.run(pruneKept, [name, before, kept])
        while (removed > 0)
      }
    }
    return total
  }

  private async *jobs(queue: string, state: JobState): AsyncGenerator<InspectedJob> {
    const discarded = LISTS[state].includes('failed') ? new Set(await this.run(discardedIds, [queue])) : new Set()
    for (const list of LISTS[state]) {
      for (let start = 0; ; start += PAGE) {
        const records = await this.run(listJobs, [queue, list, start, start + PAGE - 1])
        for (const record of records) {
          if (!record) continue // it has gone meanwhile, or is not a job
          if (state === 'failed' && discarded.has(record.id)) continue
          if (state === 'discarded' && !discarded.has(record.id)) continue
          yield inspectedJob(record, { state, queue, source: this.source })
        }
        if (records.length < PAGE) break
      }
    }
  }

  private async queues(): Promise<string[]> {
    return (await this.run(listQueues, [])).sort()
  }

  private run<Reply>(script: Script<Reply>, request: readonly (string | number)[]): Promise<Reply> {
    return this.commands.run(script, request, TIMEOUT)
  }
}

/** Ages count from the time of the call. */
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

import { consumeStore, dueTime } from '../../src'
import type { ClaimedJob, Consumable, ConsumeOptions, EnqueueResult, Execute } from '../../src'
import type { Handler, HandlerCapabilities, JobEnvelope, Outcome } from '../../src'

type WaitingJob = ClaimedJob & { dueAt: number }

export class InMemoryHandler implements Handler, Consumable {
  readonly name = 'in memory'
  readonly capabilities: HandlerCapabilities = {
    transactional: false,
    batches: false,
    honours: { delay: true, priority: false, keepCompleted: false },
    consumes: 'worker',
    inspects: false,
    inProcess: true,
  }
  readonly ended: { job: ClaimedJob; outcome: Outcome }[] = []
  private readonly waiting = new Set<WaitingJob>()

  async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    for (const job of jobs) this.waiting.add({ ...job, envelope: job, attempt: 0, dueAt: dueTime(job, Date.now()) })
    return jobs.map(() => ({ state: 'enqueued' }))
  }

  consume(options: ConsumeOptions, execute: Execute) {
    return consumeStore<WaitingJob>(this, options, execute)
  }

  claim(slots: number, queue?: string) {
    const isDue = (job: WaitingJob) => job.dueAt <= Date.now() && (!queue || job.queue === queue)
    const claimed = [...this.waiting].filter(isDue).slice(0, slots)
    for (const job of claimed) this.waiting.delete(job)
    return claimed.map((job) => ({ ...job, attempt: job.attempt + 1 }))
  }

  apply(job: WaitingJob, outcome: Outcome) {
    if ('delay' in outcome) this.waiting.add({ ...job, dueAt: Date.now() + outcome.delay })
    else if (outcome.state !== 'completed') this.ended.push({ job, outcome })
  }
}

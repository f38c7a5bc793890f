import type { QueryRunner } from 'typeorm'
import { Batcher } from '../batcher'
import type { EnqueueResult } from '../handlers/handler'
import type { JobEnvelope } from '../job/envelope'

export type Write = (jobs: readonly JobEnvelope[], runner: QueryRunner) => Promise<readonly EnqueueResult[]>

/** The jobs of one transaction, written by statements of their own, one at a time. */
export class Writes {
  private readonly batcher: Batcher<JobEnvelope, EnqueueResult>

  constructor(write: Write, runner: QueryRunner) {
    this.batcher = new Batcher((jobs) => write(jobs, runner))
  }

  /** @throws what keeps the job from being written */
  async add(job: JobEnvelope): Promise<void> {
    const result = await this.batcher.add(job)
    if (result.state === 'failed') throw result.error
  }

  /** Resolves when nothing is waiting or on its way. */
  idle(): Promise<void> {
    return this.batcher.idle()
  }
}

import { setImmediate as othersTurn } from 'node:timers/promises'
import { InvalidOptionError } from '../../errors'
import { asciiJson } from '../../job/ascii-json'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'
import type { Logger } from '../../logger'
import { errorMessage } from '../../reporting/safe-error'
import type { Outcome } from '../contract/outcome'

/** How far a job has come, as JSON. Null when it has no value. */
export interface Progress<Claim> {
  readonly claim: Claim
  readonly progress: string | null
}

interface Finished<Claim> {
  readonly job: { readonly claim: Claim }
  readonly outcome: Outcome
}

/**
 * Stores how far jobs have come: the latest value of each job, for all jobs of a worker together, one write at a time.
 * However often methods report progress, claims and outcomes wait for one write at most.
 */
export class ProgressWrites<Claim extends object> {
  private readonly waiting = new Map<Claim, string | null>()
  private writing: Promise<void> | undefined
  private underWay: Promise<void> | undefined
  private isClosed = false

  constructor(
    private readonly store: (values: readonly Progress<Claim>[]) => Promise<unknown>,
    private readonly logger: Logger,
  ) {}

  /** Warns about a value that cannot be stored, because its job need not fail. */
  set(claim: Claim, value: unknown): void {
    if (this.isClosed) return
    let progress: string | null
    try {
      progress = textOf(value)
    } catch (error) {
      return this.logger.warn({ err: error }, 'the progress of a job is not stored')
    }
    this.waiting.set(claim, progress)
    this.writing ??= this.work()
  }

  /** Stores the last values of finished jobs that are kept, before their outcomes are stored. */
  async beforeTheEnd(finished: readonly Finished<Claim>[], keepsCompleted: boolean): Promise<void> {
    if (this.waiting.size === 0) return
    const reporting = finished.filter(({ job }) => this.waiting.has(job.claim))
    const values = reporting.map(({ job }) => this.take(job.claim))
    const kept = values.filter((_, index) => keepsCompleted || reporting[index]?.outcome.state !== 'completed')
    if (kept.length === 0) return
    await this.underWay
    await this.write(kept)
  }

  /** Stops writing, because a write could make a connection that would stay open. */
  close(): void {
    this.isClosed = true
    this.waiting.clear()
  }

  private async work(): Promise<void> {
    for (;;) {
      // One write per turn of the event loop, so that a job that reports without a pause does not keep others waiting.
      await othersTurn()
      if (this.waiting.size === 0) break
      this.underWay = this.write([...this.waiting.keys()].map((claim) => this.take(claim)))
      await this.underWay
    }
    this.writing = undefined
  }

  private take(claim: Claim): Progress<Claim> {
    const progress = this.waiting.get(claim) ?? null
    this.waiting.delete(claim)
    return { claim, progress }
  }

  private async write(values: readonly Progress<Claim>[]): Promise<void> {
    try {
      await this.store(values)
    } catch (error) {
      if (this.isClosed) return
      this.logger.warn({ err: error, jobs: values.length }, 'the progress of jobs could not be stored')
    }
  }
}

function textOf(value: unknown): string | null {
  let text: string | undefined
  try {
    text = asciiJson(value) as string | undefined
  } catch (error) {
    throw new InvalidOptionError(
      `progress() cannot store this value: ${errorMessage(error)}. Give what JSON can show: numbers, texts, lists and plain objects.`,
      { cause: error },
    )
  }
  if (text !== undefined && text.length > LARGEST_PAYLOAD) {
    throw new InvalidOptionError(
      `progress() cannot store ${text.length} bytes, and may store ${LARGEST_PAYLOAD}: store the data in a row, and give its key.`,
    )
  }
  return text ?? null
}

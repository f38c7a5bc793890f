import type { EntityManager, ObjectLiteral } from 'typeorm'
import { isBackgroundedError } from '../errors'
import { MalformedJobError, UnknownMethodError, WorkerDiedError } from '../errors'
import type { BackgroundedEvents, RunningJobSummary } from '../events'
import type { PrefetchQuery } from '../handlers/contract/built-in'
import type { ClaimedJob } from '../handlers/contract/consumable'
import type { Outcome } from '../handlers/contract/outcome'
import { decodeArguments, storedReferences } from '../job/arguments/decode'
import { readEnvelope, type ReceivedJob } from '../job/envelope'
import { chainOf, linkOf, type EventChain } from '../job/event-chain'
import type { JsonObject, JsonValue } from '../job/json'
import type { Logger } from '../logger'
import type { MethodTable } from '../metadata/method-table'
import { attempt, textOf } from '../reporting/text-of'
import { argumentRows } from './reload/argument-rows'
import { methodOfRow, rowOfAnyClass } from './reload/changed-class'
import { entityOf, type EntityLoader, type Found } from './reload/entity-loader'
import { runInJob } from './job-context'
import { outcomeOfLoading, outcomeOfMethod, outcomeOfReading, retryOrFail } from './outcomes'
import { rowOfArgument, rowOfJob } from './reload/gone-row'
import type { Run } from './run'
import type { LoadOptions } from './reload/rows-by-key'
import { RunningJob } from './running-job'

/** How rows among the arguments are loaded. */
const ARGUMENTS: LoadOptions = { withDeleted: false }

export interface ExecutorHost {
  /** What `currentJob().manager` shows. */
  readonly manager: () => EntityManager
  readonly source: string
  readonly methods: MethodTable
  readonly loader: EntityLoader
  readonly events: BackgroundedEvents
  readonly logger: Logger
  readonly now: () => number
}

/** Notified of the steps of a job's run. */
export interface RunListener {
  /** Called first, with what the job is, as far as it can be read. */
  begun(summary: RunningJobSummary): void
  ended(): void
}

const COMPLETED: Outcome = { state: 'completed' }
const NOBODY: RunListener = { begun() {}, ended() {} }

/**
 * Runs claimed jobs in the same way for every handler, and returns what became of each. Never rejects, whatever a store
 * returns and whatever a method throws or returns, because foreign values are read only through `text-of.ts`.
 */
export class Executor {
  constructor(private readonly host: ExecutorHost) {}

  /** One asynchronous function for all steps, because each such function costs every job one or two promises. */
  async execute(job: ClaimedJob, listener = NOBODY): Promise<Outcome> {
    let run: Run
    try {
      run = this.resolve(job, readEnvelope(job.envelope))
    } catch (error) {
      listener.begun(unreadable(job))
      listener.ended()
      return outcomeOfReading(job, error, this.host.now())
    }
    listener.begun(run.summary)
    try {
      if (job.died) return retryOrFail(run, new WorkerDiedError(job.attempt))

      let receiver: object, args: unknown[]
      try {
        const { key } = run.received
        if (key) {
          let row = entityOf(await this.load(run, key))
          if (!row) ({ run, row } = await this.ofAnotherClass(run, key))
          receiver = rowOfJob(row, run.received.entity, key)
        } else {
          receiver = run.method.entity.target
        }
        args = run.received.types ? await this.arguments(run.received.args, run.received.types) : run.received.args
      } catch (error) {
        return outcomeOfLoading(run, error, this.host.now())
      }

      this.host.events.emit('started', { job: run.summary })
      try {
        const result = this.invoke(run, receiver, args)
        if (isThenable(result)) await result
        return COMPLETED
      } catch (error) {
        return outcomeOfMethod(run, error)
      }
    } catch (error) {
      return { state: 'failed', error } // a store of the application may return odd jobs
    } finally {
      listener.ended()
    }
  }

  /** A query for the rows that the next jobs are likely to need. */
  prefetchQuery(): PrefetchQuery | undefined {
    return this.host.loader.prefetchQuery
  }

  /** What events say about a job, as far as it can be read. */
  summarize(job: ClaimedJob): RunningJobSummary {
    try {
      return this.resolve(job, readEnvelope(job.envelope)).summary
    } catch {
      return unreadable(job)
    }
  }

  private resolve(job: ClaimedJob, received: ReceivedJob): Run {
    const { entity, key, method: name } = received
    if (received.source !== undefined && received.source !== this.host.source) {
      throw new UnknownMethodError(
        `The job belongs to the data source "${received.source}", and this worker serves "${this.host.source}".`,
      )
    }
    const method = this.host.methods.find(entity, name, key !== undefined)
    if (!method) {
      const what = this.host.methods.named(entity)
        ? `${key ? 'method' : 'static method'} ${entity}.${name}`
        : `entity ${entity}`
      throw new UnknownMethodError(`This worker knows no @Backgrounded ${what}: the job waits for a newer one.`)
    }
    const attempts = received.attempts ?? method.options.attempts
    const summary = { id: job.id, entity, key, method: name, queue: job.queue, attempt: job.attempt, attempts }
    return { job, received, method, summary }
  }

  private load({ job, method }: Run, key: JsonObject): Promise<Found> {
    return this.host.loader.loadFor(job, method.entity, key, method.options)
  }

  /** The same job for a row whose class has changed: with that class's method, loaded as that method requires. */
  private async ofAnotherClass(run: Run, key: JsonObject): Promise<{ run: Run; row: ObjectLiteral | undefined }> {
    const { entity, options } = run.method
    const row = await rowOfAnyClass(this.host, entity, key, options.withDeleted)
    if (!row) return { run, row }
    const changed = { ...run, method: methodOfRow(this.host.methods, run.method, row) }
    return { run: changed, row: entityOf(await this.load(changed, key)) }
  }

  private async arguments(args: JsonValue[], types: Readonly<Record<string, string>>): Promise<unknown[]> {
    const rows = await argumentRows(storedReferences(args, types), async ({ entity: name, key }, pointer) => {
      const entity = this.host.methods.named(name)
      if (!entity) throw new UnknownMethodError(`This worker knows no entity ${name}, which is among the arguments.`)
      const found = entityOf(await this.host.loader.load(entity, key, ARGUMENTS))
      const row = found ?? (await rowOfAnyClass(this.host, entity, key, false))
      return rowOfArgument(row, name, key, pointer)
    })
    return decode(args, types, rows)
  }

  private invoke(run: Run, receiver: object, args: unknown[]): unknown {
    const method = (receiver as Record<string, unknown>)[run.method.property]
    if (typeof method !== 'function')
      throw new UnknownMethodError(`${run.summary.entity}.${run.method.property} is not a method.`)
    const { manager, logger, now } = this.host
    const enqueuedAt = run.received.enqueuedAt ?? now()
    const job = new RunningJob(run.job, run.summary, {
      enqueuedAt,
      manager: manager(),
      logger,
      eventChain: () => this.eventChain(run),
    })
    return runInJob(job, () => method.apply(receiver, args) as unknown)
  }

  /** What led to this job, and the job itself if an event may start it. */
  private eventChain({ received: { meta, entity, key = {} }, method }: Run): EventChain {
    const chain = chainOf(meta)
    return method.afterCommit ? [...chain, linkOf(this.host.source, entity, key, method.name)] : chain
  }
}

function unreadable({ id, envelope, queue, attempt: number }: ClaimedJob): RunningJobSummary {
  const named = envelope as { entity?: unknown; method?: unknown } | null | undefined
  const entity = textOf(attempt(() => named?.entity, undefined))
  const method = textOf(attempt(() => named?.method, undefined))
  return { id, entity, method, queue, attempt: number, attempts: number }
}

function isThenable(result: unknown): boolean {
  return typeof (result as { then?: unknown } | undefined)?.then === 'function'
}

/** Errors in stored arguments, which a later attempt would have too. */
function decode(
  args: JsonValue[],
  types: Readonly<Record<string, string>>,
  entities: ReadonlyMap<string, object>,
): unknown[] {
  try {
    return decodeArguments(args, types, entities)
  } catch (error) {
    if (isBackgroundedError(error, 'MALFORMED_JOB')) throw error
    throw new MalformedJobError(`The job's arguments cannot be read: ${textOf(error)}`, { cause: error })
  }
}

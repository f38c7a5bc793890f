import type { Queue, QueueOptions } from 'bull'
import { InvalidOptionError, NotAttachedError, PayloadTooLargeError } from '../../errors'
import type { JobEnvelope } from '../../job/envelope'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'
import { sleep } from '../../concurrency/sleep'
import type { BuiltInCapabilities, Relayed } from '../contract/built-in'
import type { Consumable, Consumption, ConsumeOptions, Execute } from '../contract/consumable'
import type { EnqueueResult, Handler, HandlerHost } from '../contract/handler'
import type { Inspectable, InspectedJob, JobQuery, JobState } from '../contract/inspectable'
import { StoreConsumption } from '../consumption/store-consumption'
import { Arrivals } from './arrivals'
import { BullStore } from './bull-store'
import { Commands, storeError } from './commands'
import { Connections } from './connections'
import { BullInspection } from './inspection'
import { recordOf } from './job-record'
import { resolveOptions, type BullHandlerOptions, type ResolvedBullOptions } from './options'
import {
  discoverQueues,
  enqueue,
  enqueueArguments,
  forgetPushes,
  registerQueue,
  type NewJob,
  type Stored,
} from './scripts/enqueue'

/** ms */
const FORGET_WITHIN = 1_000
const MOST_FORGOTTEN = 500
/** How long closing a data source waits for Redis before it closes the connections, in ms. */
const FAREWELL = 200
/** How often a queue is registered again, because workers forget an unused queue after a week. */
const REGISTER_EVERY = 60 * 60 * 1000

/**
 * Keeps jobs in Redis, in Bull's own data: one Bull queue for each `<source>:<queue>`, so that any number of
 * workers on any number of machines share them, and bull-board and other tools of Bull's see them.
 */
export class BullHandler implements Handler, Consumable, Inspectable, Relayed {
  readonly name = 'bull'
  readonly capabilities: BuiltInCapabilities = {
    transactional: false,
    batches: true,
    // Bull's priorities have the opposite order, and cost O(n) at each call: use queues.
    honours: { delay: true, priority: false, keepCompleted: true },
    consumes: 'worker',
    inspects: true,
    remembersPushes: true,
  }
  private readonly options: ResolvedBullOptions
  private attached: Attached | undefined
  private readonly running = new Set<Promise<void>>()

  /** @throws InvalidOptionError */
  constructor(options: BullHandlerOptions = {}) {
    this.options = resolveOptions(options)
  }

  /** Without the server's address, so that jobs in the outbox go to the new server when Redis moves. */
  get destination(): string {
    return `bull:${this.options.prefix}`
  }

  attach(host: HandlerHost): void {
    void this.close().catch(() => {}) // with other options than before
    const connections = new Connections(this.options.redis, host.logger)
    const base = `${this.options.prefix}:${host.source}:`
    this.attached = {
      host,
      base,
      connections,
      commands: new Commands(connections, base),
      raw: new Map(),
      registered: new Map(),
      pushed: [],
    }
  }

  async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const results = await this.store(jobs, Infinity)
    await this.forget(jobs.map(({ id }) => id))
    // An id that is still remembered belongs to this call: its first answer has not arrived.
    return results.map((result) => (result instanceof Error ? failed(result) : stored(result !== 'known')))
  }

  async push(jobs: readonly JobEnvelope[], validFor: number): Promise<EnqueueResult[]> {
    const results = await this.store(jobs, validFor)
    return results.map((result) => (result instanceof Error ? failed(result) : stored(result === 'new')))
  }

  /** Sent with the next call, or within a second. */
  forget(ids: readonly string[]): Promise<void> {
    const { attached } = this
    if (!attached) return Promise.resolve()
    attached.pushed.push(...ids)
    attached.forgetting ??= setTimeout(() => void this.forgetAll(attached), FORGET_WITHIN).unref()
    return Promise.resolve()
  }

  consume(options: ConsumeOptions, execute: Execute): Consumption {
    const { host, base, connections, commands } = this.whileAttached()
    const onQueues = (queues: readonly string[]) => this.discover(queues)
    const arrivals = new Arrivals(() => connections.open('subscriber'), base, onQueues, host.logger)
    const parts = { host, base, connections, commands, arrivals, options: this.options, consumption: options }
    const store = new BullStore(parts)
    const consumption = new StoreConsumption(store, options, execute, host.logger)
    const running = consumption.finished.catch(() => {}).finally(() => this.running.delete(running))
    this.running.add(running)
    return consumption
  }

  /**
   * The Bull queue behind a queue name, for bull-board and code of yours. It is closed with the data source.
   * @throws NotAttachedError before `dataSource.initialize()`
   */
  queue(name = 'default'): Queue {
    const { host, connections, raw } = this.whileAttached()
    let queue = raw.get(name)
    if (!queue) {
      // Loaded only when it is needed: workers and calls do not need it.
      const Bull = loadBull()
      queue = new Bull(`${host.source}:${name}`, {
        prefix: this.options.prefix,
        settings: this.options.settings,
        createClient: (type) => connections.connected(type) as never,
        // The version check would connect at once.
        skipVersionCheck: true,
      } as QueueOptions)
      raw.set(name, queue)
    }
    this.register(name)
    return queue
  }

  async find(query: JobQuery = {}): Promise<InspectedJob[]> {
    return this.inspection.find(query)
  }

  async counts(): Promise<Record<JobState, number>> {
    return this.inspection.counts()
  }

  async retry(ids: readonly string[]): Promise<number> {
    return this.inspection.retry(ids)
  }

  async discard(ids: readonly string[]): Promise<number> {
    return this.inspection.discard(ids)
  }

  async pause(queue: string): Promise<void> {
    return this.inspection.pause(queue)
  }

  async resume(queue: string): Promise<void> {
    return this.inspection.resume(queue)
  }

  async prune(query: { before: Date; state?: JobState }): Promise<number> {
    return this.inspection.prune(query)
  }

  async close(): Promise<void> {
    const { attached } = this
    this.attached = undefined
    if (!attached) return
    const raw = [...attached.raw.values()].map((queue) => queue.close(true).catch(() => {}))
    const forgetting = attached.commands.isOut ? undefined : this.forgetAll(attached)
    const over = new AbortController()
    await Promise.race([Promise.all([...raw, forgetting]), sleep(FAREWELL, over.signal)])
    over.abort()
    const closing = Promise.all(this.running).then(() => attached.connections.close())
    // A method that still runs after its worker was stopped keeps its lease, and its outcome is stored when it ends.
    if (this.running.size === 0) await closing
  }

  /** Registers a queue that Bull itself may add jobs to, for workers on all queues. */
  private register(name: string): void {
    const { registered, commands, host } = this.whileAttached()
    const now = performance.now()
    if (now - (registered.get(name) ?? -Infinity) < REGISTER_EVERY) return
    registered.set(name, now)
    commands.run(registerQueue, [name], this.options.timeout).catch((error: unknown) => {
      registered.delete(name)
      host.logger.warn({ err: error, queue: name }, 'workers on all queues do not know of this one yet')
    })
  }

  /** Registers queues that other programs add jobs to, for workers on all queues. Resolves with whether one was new. */
  private async discover(names: readonly string[]): Promise<boolean> {
    // A worker may still be stopping when its data source has closed.
    if (!this.attached) return false
    const { commands, host } = this.attached
    try {
      return await commands.run(discoverQueues, names, this.options.timeout)
    } catch (error) {
      host.logger.debug({ err: error }, 'workers on all queues may not know of some yet')
      return false
    }
  }

  /** @param validFor ms from now, after which a request that reaches Redis stores nothing and rejects */
  private async store(jobs: readonly JobEnvelope[], validFor: number): Promise<Stored[]> {
    const { commands, pushed } = this.whileAttached()
    const records = jobs.map(fittingRecordOf)
    const results: Stored[] = []
    const until = performance.now() + validFor
    for (const chunk of chunks(records)) {
      const timeout = Math.min(until - performance.now(), this.options.timeout)
      const request = enqueueArguments(chunk, pushed.splice(0, MOST_FORGOTTEN))
      for (const result of await commands.run(enqueue, request, timeout))
        results.push(result instanceof Error ? storeError(result) : result)
    }
    return records.map((record) => (record instanceof Error ? record : (results.shift() as Stored)))
  }

  private async forgetAll(attached: Attached): Promise<void> {
    clearTimeout(attached.forgetting)
    attached.forgetting = undefined
    const { pushed, commands, host } = attached
    while (pushed.length > 0) {
      try {
        await commands.run(forgetPushes, pushed.splice(0, MOST_FORGOTTEN), this.options.timeout)
      } catch (error) {
        return host.logger.debug({ err: error }, 'Redis forgets some pushes in a week')
      }
    }
  }

  private get inspection(): BullInspection {
    const { host, commands } = this.whileAttached()
    return new BullInspection(host.source, commands)
  }

  private whileAttached(): Attached {
    if (this.attached) return this.attached
    throw new NotAttachedError('BullHandler works only while its data source is initialised: call initialize() first.')
  }
}

interface Attached {
  readonly host: HandlerHost
  /** Begins every key. */
  readonly base: string
  readonly connections: Connections
  readonly commands: Commands
  /** Ids that Redis may forget. */
  readonly pushed: string[]
  forgetting?: NodeJS.Timeout
  /** When queues that Bull itself may add jobs to were registered last. */
  readonly registered: Map<string, number>
  /** Bull's own queues that `queue` has returned, by name. */
  readonly raw: Map<string, Queue>
}

function failed(error: Error): EnqueueResult {
  return { state: 'failed', error }
}

function stored(isNew: boolean): EnqueueResult {
  return { state: isNew ? 'enqueued' : 'duplicate' }
}

function loadBull(): typeof import('bull') {
  try {
    return require('bull') as typeof import('bull')
  } catch (error) {
    throw new InvalidOptionError('Bull queues and the inspection of jobs need the package bull: npm install bull@4.', {
      cause: error,
    })
  }
}

function fittingRecordOf(job: JobEnvelope): NewJob | PayloadTooLargeError {
  const record = recordOf(job)
  const size = Buffer.byteLength(record.data)
  return size <= LARGEST_PAYLOAD ? record : PayloadTooLargeError.of(record.name, size, LARGEST_PAYLOAD)
}

/** Chunks of at most 500 jobs and about 1 MB each, because Redis does nothing else while a script runs. */
function chunks(jobs: readonly (NewJob | Error)[]): NewJob[][] {
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

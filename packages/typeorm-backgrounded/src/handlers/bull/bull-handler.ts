import type { Queue } from 'bull'
import { NotAttachedError, PayloadTooLargeError } from '../../errors'
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
import { ForgettablePushes } from './forgettable-pushes'
import { BullInspection } from './inspection'
import { inChunks } from './job-chunks'
import { recordOf } from './job-record'
import { resolveOptions, type BullHandlerOptions, type ResolvedBullOptions } from './options'
import { RawQueues } from './raw-queues'
import { discoverQueues, enqueue, enqueueArguments, type NewJob, type Stored } from './scripts/enqueue'

/** How long closing a data source waits for Redis before it closes the connections, in ms. */
const FAREWELL = 200

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
    const { options } = this
    const base = `${options.prefix}:${host.source}:`
    const connections = new Connections(options.redis, host.logger)
    const commands = new Commands(connections, base)
    const queues = new RawQueues(host, connections, commands, options)
    const pushes = new ForgettablePushes(commands, options.timeout, host.logger)
    this.attached = { host, base, connections, commands, queues, pushes }
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
    this.attached?.pushes.add(ids)
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
    return this.whileAttached().queues.get(name)
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
    const { queues, pushes, commands, connections } = attached
    const closed = queues.close()
    const forgotten = commands.isOut ? undefined : pushes.forgetAll()
    const over = new AbortController()
    await Promise.race([Promise.all([closed, forgotten]), sleep(FAREWELL, over.signal)])
    over.abort()
    const closing = Promise.all(this.running).then(() => connections.close())
    // A method that still runs after its worker was stopped keeps its lease, and its outcome is stored when it ends.
    if (this.running.size === 0) await closing
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
    const { commands, pushes } = this.whileAttached()
    const records = jobs.map(fittingRecordOf)
    const results: Stored[] = []
    const until = performance.now() + validFor
    for (const chunk of inChunks(records)) {
      const timeout = Math.min(until - performance.now(), this.options.timeout)
      const request = enqueueArguments(chunk, pushes.take())
      for (const result of await commands.run(enqueue, request, timeout))
        results.push(result instanceof Error ? storeError(result) : result)
    }
    return records.map((record) => (record instanceof Error ? record : (results.shift() as Stored)))
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
  readonly queues: RawQueues
  readonly pushes: ForgettablePushes
}

function failed(error: Error): EnqueueResult {
  return { state: 'failed', error }
}

function stored(isNew: boolean): EnqueueResult {
  return { state: isNew ? 'enqueued' : 'duplicate' }
}

function fittingRecordOf(job: JobEnvelope): NewJob | PayloadTooLargeError {
  const record = recordOf(job)
  const size = Buffer.byteLength(record.data)
  return size <= LARGEST_PAYLOAD ? record : PayloadTooLargeError.of(record.name, size, LARGEST_PAYLOAD)
}

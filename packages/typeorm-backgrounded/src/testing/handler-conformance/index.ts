import type { DataSource, EntitySchema } from 'typeorm'
import { backgroundedEvents, createWorker, withBackgrounded } from '../../plugin/attach'
import type { Handler } from '../../handlers/contract/handler'
import { checkKnown, namesOf } from '../../job/known-options'
import type { WorkerOptions } from '../../worker/worker'
import { callCases } from './call-cases'
import { batchCases } from './batch-cases'
import type { ConformanceCase, ConformanceContext } from './conformance-case'
import { contextCases } from './context-cases'
import { openAllGates } from './gate'
import { inspectCases } from './inspect-cases'
import { interventionCases } from './intervention-cases'
import { leaseCases } from './lease-cases'
import { conformanceEntity, ConformanceRecord, runs, script } from './model'
import { outcomeCases } from './outcome-cases'
import { savepointCases } from './savepoint-cases'
import { textCases } from './text-cases'
import { transactionCases } from './transaction-cases'
import { trustCases } from './trust-cases'
import { workerCases } from './worker-cases'

export interface ConformanceOptions {
  /** Your test runner's. Those of mocha, Jest, Vitest and node:test fit. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly it: TestFunction
  /** The handler's name in the title of the suite; default its own name. */
  readonly name?: string
  /** Returns a new handler, once for each case. */
  readonly handler: () => Handler
  /** Returns a data source with these entities and `synchronize: true`, not initialised, on an empty database. */
  readonly dataSource: (entities: EntitySchema[]) => DataSource | Promise<DataSource>
  /**
   * Makes the store take every running worker for dead, as a kill of its process would. Without it, the cases about dead
   * workers are skipped. If you give it, give the handler a short lease too, because those cases wait for it to end.
   */
  readonly forgetWorkers?: (dataSource: DataSource) => Promise<void>
}

const OPTIONS = namesOf<ConformanceOptions>({
  describe: true,
  it: true,
  name: true,
  handler: true,
  dataSource: true,
  forgetWorkers: true,
})

interface TestFunction {
  (title: string, body: () => Promise<void>, timeout?: number): unknown
  readonly skip?: (title: string, body: () => Promise<void>) => unknown
}

const cases: readonly ConformanceCase[] = [
  ...callCases,
  ...batchCases,
  ...textCases,
  ...transactionCases,
  ...savepointCases,
  ...outcomeCases,
  ...contextCases,
  ...trustCases,
  ...workerCases,
  ...leaseCases,
  ...inspectCases,
  ...interventionCases,
]

/** In ms, for test runners whose `it` takes a timeout; mocha's is set for the whole suite. */
const TIMEOUT = 60_000

/**
 * Declares the suite that every handler must pass in your test runner. It covers calls, batches, delay, priority,
 * transactions, savepoints, retries, discards, snoozes, missing rows, unknown methods, forged jobs, odd text, stopping,
 * lost leases, dead workers and inspection. Cases that the handler's capabilities rule out are skipped, with the reason in
 * their title. A case that waits for a lease to end may take 20 s, so allow for that in mocha's `timeout`.
 *
 * @example
 * handlerConformance({ describe, it, handler: () => new MyHandler(), dataSource: (entities) =>
 *   new DataSource({ type: 'better-sqlite3', database: ':memory:', entities, synchronize: true }) })
 */
export function handlerConformance(options: ConformanceOptions): void {
  checkKnown(options, OPTIONS, 'handlerConformance')
  const { describe, it } = options
  const { name, capabilities } = options.handler()
  const tester = { forgetsWorkers: options.forgetWorkers !== undefined }
  const decided = cases.map((each) => ({ each, reason: each.skip?.(capabilities, tester) }))
  const skipped = decided.filter(({ reason }) => reason !== undefined).length
  const numbers = `${cases.length - skipped} cases, ${skipped} skipped`
  describe(`${options.name ?? name}: handler conformance (${numbers})`, () => {
    for (const { each, reason } of decided) {
      if (reason === undefined) it(each.title, () => runCase(each, options), TIMEOUT)
      else it.skip?.(`${each.title} (skipped: ${reason})`, () => Promise.resolve())
    }
  })
}

async function runCase({ run, options: plugin }: ConformanceCase, options: ConformanceOptions): Promise<void> {
  runs.length = 0
  script.act = () => {}
  const handler = options.handler()
  const dataSource = withBackgrounded(await options.dataSource([conformanceEntity as EntitySchema]), {
    logger: silent,
    ...plugin,
    handler,
  })
  await dataSource.initialize()
  try {
    await run({
      dataSource,
      handler,
      record: (title) => dataSource.manager.save(Object.assign(new ConformanceRecord(), { title })),
      work: (workerOptions) => startWorker(dataSource, workerOptions),
      forgetWorkers: async () => options.forgetWorkers?.(dataSource),
      ...observe(dataSource),
    })
  } finally {
    openAllGates()
    await dataSource.destroy()
  }
}

function startWorker(dataSource: DataSource, options: WorkerOptions = {}) {
  const worker = createWorker(dataSource, { pollInterval: 50, ...options })
  // If it cannot run, the case fails at what it waits for.
  worker.run().catch((error: unknown) => console.error(error))
  return worker
}

function observe(dataSource: DataSource): Pick<ConformanceContext, 'events' | 'errors'> {
  const seen = { events: [] as string[], errors: [] as unknown[] }
  const events = backgroundedEvents(dataSource)
  for (const name of [
    'enqueueFailed',
    'completed',
    'retried',
    'failed',
    'discarded',
    'released',
    'leaseLost',
  ] as const) {
    events.on(name, (event: object) => {
      seen.events.push(name)
      if ('error' in event) seen.errors.push(event.error)
    })
  }
  return seen
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

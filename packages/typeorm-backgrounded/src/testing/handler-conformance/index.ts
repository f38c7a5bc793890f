import type { DataSource, EntitySchema } from 'typeorm'
import { backgroundedEvents, withBackgrounded } from '../../backgrounded'
import type { Handler } from '../../handlers/handler'
import { callCases } from './call-cases'
import type { ConformanceCase } from './conformance-case'
import { conformanceEntity, ConformanceRecord, gate, runs } from './model'
import { runCases } from './run-cases'
import { transactionCases } from './transaction-cases'

export interface ConformanceOptions {
  /** Your test runner's; mocha's, Jest's, Vitest's and node:test's fit. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly it: TestFunction
  /** What the suite calls the handler; default the handler's name. */
  readonly name?: string
  /** A new handler for each case. */
  readonly handler: () => Handler
  /** A data source with these entities, not initialised, over an empty database, with `synchronize: true`. */
  readonly dataSource: (entities: EntitySchema[]) => DataSource | Promise<DataSource>
}

interface TestFunction {
  (title: string, body: () => Promise<void>): unknown
  readonly skip?: (title: string, body?: () => Promise<void>) => unknown
}

/**
 * Declares the suite that every handler must pass, for your test runner: enqueue, batches, delay, priority,
 * transactions, savepoints, retries, discards, missing rows, unknown methods, forged jobs, stop. What a handler
 * declares that it cannot do is skipped, with the reason in the title.
 *
 * @example
 * handlerConformance({ describe, it, handler: () => new MyHandler(), dataSource: (entities) =>
 *   new DataSource({ type: 'better-sqlite3', database: ':memory:', entities, synchronize: true }) })
 */
export function handlerConformance(options: ConformanceOptions): void {
  const { describe, it } = options
  const { name, capabilities } = options.handler()
  describe(`${options.name ?? name}: handler conformance`, () => {
    for (const each of [...callCases, ...transactionCases, ...runCases]) {
      const reason = each.skip?.(capabilities)
      if (reason === undefined) it(each.title, () => runCase(each, options))
      else if (it.skip) it.skip(`${each.title} (skipped: ${reason})`)
    }
  })
}

async function runCase({ run }: ConformanceCase, options: ConformanceOptions): Promise<void> {
  runs.length = 0
  gate.wait = () => Promise.resolve()
  const handler = options.handler()
  const dataSource = withBackgrounded(await options.dataSource([conformanceEntity as EntitySchema]), {
    handler,
    logger: silent,
  })
  await dataSource.initialize()
  try {
    const record = (title: string) => dataSource.manager.save(Object.assign(new ConformanceRecord(), { title }))
    await run({ dataSource, handler, record, events: observe(dataSource) })
  } finally {
    await dataSource.destroy()
  }
}

function observe(dataSource: DataSource): string[] {
  const seen: string[] = []
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
    events.on(name, () => void seen.push(name))
  }
  return seen
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

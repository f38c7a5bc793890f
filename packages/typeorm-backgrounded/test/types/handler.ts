import { DataSource } from 'typeorm'
import {
  createWorker,
  SynchronousHandler,
  withBackgrounded,
  type Consumable,
  type EnqueueResult,
  type Handler,
  type HandlerCapabilities,
  type JobEnvelope,
  type Outcome,
} from 'typeorm-backgrounded'
import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { same } from './expect'

/** A handler of one's own. */
class QueueHandler implements Handler {
  readonly name = 'queue'
  readonly capabilities: HandlerCapabilities = {
    transactional: false,
    batches: true,
    honours: { delay: true, priority: false, keepCompleted: false },
    consumes: 'never',
    inspects: false,
  }

  constructor(private readonly push: (messages: string[]) => Promise<boolean[]>) {}

  async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const taken = await this.push(jobs.map((job) => JSON.stringify(job)))
    return taken.map((isNew) => ({ state: isNew ? 'enqueued' : 'duplicate' }))
  }
}

const options = { type: 'better-sqlite3', database: 'app.sqlite' } as const
const dataSource: DataSource = withBackgrounded(new DataSource(options), {
  handler: new QueueHandler((messages) => Promise.resolve(messages.map(() => true))),
  defaults: { attempts: 3 },
  configure: ({ entity, method, options }) => ({ ...options, queue: `${entity}.${method}` }),
  resolve: (token) => Promise.resolve(token),
  keepCompleted: '1d',
})
withBackgrounded(new DataSource(options), { handler: new DatabaseHandler() })
const inline: Handler & Consumable = new SynchronousHandler({ ignoreDelay: true })
void inline

// @ts-expect-error no handler
withBackgrounded(new DataSource(options), {})
// @ts-expect-error not a handler
withBackgrounded(new DataSource(options), { handler: { name: 'half' } })
// @ts-expect-error an unknown option
withBackgrounded(new DataSource(options), { handler: inline, retries: 5 })

export class Incomplete {
  readonly bad: Handler = {
    name: 'bad',
    // @ts-expect-error capabilities are missing
    capabilities: { transactional: true },
    // @ts-expect-error no such state
    enqueue: () => Promise.resolve([{ state: 'sent' }]),
  }
}

export async function work(): Promise<void> {
  const worker = createWorker(dataSource, { queues: ['mail'], concurrency: 4 })
  same<ReturnType<typeof worker.run>, Promise<void>>()
  await Promise.all([worker.run(), worker.stop()])
}

export function describe(outcome: Outcome): string {
  switch (outcome.state) {
    case 'completed':
      return 'done'
    case 'discarded':
      return outcome.reason
    case 'failed':
      return String(outcome.error)
    case 'retried':
    case 'released':
      return `again in ${outcome.delay} ms`
  }
}

import type { Queue, QueueOptions } from 'bull'
import { InvalidOptionError } from '../../errors'
import type { HandlerHost } from '../contract/handler'
import type { Commands } from './commands'
import type { Connections } from './connections'
import type { ResolvedBullOptions } from './options'
import { registerQueue } from './scripts/enqueue'

/** How often a queue is registered again, because workers forget an unused queue after a week. */
const REGISTER_EVERY = 60 * 60 * 1000

/** Bull's own queues, for bull-board and code of the application. */
export class RawQueues {
  private readonly queues = new Map<string, Queue>()
  private readonly registeredAt = new Map<string, number>()

  constructor(
    private readonly host: HandlerHost,
    private readonly connections: Connections,
    private readonly commands: Commands,
    private readonly options: ResolvedBullOptions,
  ) {}

  /** @throws InvalidOptionError where Bull is not installed */
  get(name: string): Queue {
    let queue = this.queues.get(name)
    if (!queue) {
      queue = this.open(name)
      this.queues.set(name, queue)
    }
    this.register(name)
    return queue
  }

  async close(): Promise<void> {
    await Promise.all([...this.queues.values()].map((queue) => queue.close(true).catch(() => {})))
  }

  private open(name: string): Queue {
    // Loaded only when it is needed: workers and calls do not need it.
    const Bull = loadBull()
    return new Bull(`${this.host.source}:${name}`, {
      prefix: this.options.prefix,
      settings: this.options.settings,
      createClient: (type) => this.connections.connected(type) as never,
      // The version check would connect at once.
      skipVersionCheck: true,
    } as QueueOptions)
  }

  /** Registers a queue that Bull itself may add jobs to, for workers on all queues. */
  private register(name: string): void {
    const now = performance.now()
    if (now - (this.registeredAt.get(name) ?? -Infinity) < REGISTER_EVERY) return
    this.registeredAt.set(name, now)
    this.commands.run(registerQueue, [name], this.options.timeout).catch((error: unknown) => {
      this.registeredAt.delete(name)
      this.host.logger.warn({ err: error, queue: name }, 'workers on all queues do not know of this one yet')
    })
  }
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

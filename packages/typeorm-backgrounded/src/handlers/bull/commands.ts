import { StoreUnavailableError } from '../../errors'
import type { Connection } from './connections'
import type { Script } from './scripts/script'

/** Redis refuses this much sooner than the caller gives up, in ms: timers may end a moment early. */
const MARGIN = 5

/**
 * Sends scripts that are worth nothing after a deadline: the caller hears of it in time, and Redis, by its own
 * clock, refuses what arrives later. So a call that was rejected never turns up as a job.
 */
export class Commands {
  private connection: Connection | undefined
  private clockOffset: Promise<number> | undefined
  private brokenSince: number | undefined
  /** When a command last went without an answer. */
  private silentSince: number | undefined
  private readonly defined = new Set<string>()
  /** Grows when an answer may have been lost: what was asked may have been done, or not. */
  breaks = 0

  constructor(
    /** Not asked for before the first command. */
    private readonly connect: () => Connection,
    /** Before every key: `<prefix>:<source>:`. */
    private readonly base: string,
  ) {}

  /**
   * @param timeout ms
   * @throws StoreUnavailableError
   */
  async run<Reply>(script: Script<Reply>, request: readonly (string | number)[], timeout: number): Promise<Reply> {
    const client = this.client
    const now = Date.now()
    const { brokenSince, silentSince } = this
    if (brokenSince !== undefined && now - brokenSince >= timeout) throw unavailable('it is disconnected')
    // Whoever comes next need not wait for the same silence again, until somebody tries anew.
    if (silentSince !== undefined && now - silentSince < timeout) throw unavailable('it does not answer')
    const deadline = now + timeout - MARGIN
    try {
      return await this.within(timeout, this.send(client, script, request, deadline))
    } catch (error) {
      this.breaks++
      throw isRefusal(error) ? error : unavailable((error as Error).message, error)
    }
  }

  /** @throws StoreUnavailableError when `promise` takes longer than `timeout` ms */
  async bounded<T>(promise: Promise<T>, timeout: number): Promise<T> {
    try {
      return await this.within(timeout, promise)
    } catch (error) {
      throw error instanceof Silence ? unavailable(error.message, error) : error
    }
  }

  private async send<Reply>(
    client: Connection,
    script: Script<Reply>,
    request: readonly (string | number)[],
    deadline: number,
  ): Promise<Reply> {
    this.define(client, script)
    const command = (client as unknown as Record<string, Command>)[script.name] as Command
    for (;;) {
      const validUntil = Math.floor(deadline + (await this.offset(client)))
      try {
        return script.read(await command.call(client, this.base, validUntil, ...request))
      } catch (error) {
        this.silentSince = undefined // it has answered
        if (!isExpired(error)) throw error
        this.clockOffset = undefined
        // Sent in time, and late by Redis's clock: one of the clocks was moved.
        if (Date.now() >= deadline) throw error
      }
    }
  }

  private get client(): Connection {
    return (this.connection ??= this.watch(this.connect()))
  }

  private watch(client: Connection): Connection {
    client.on('close', () => {
      this.breaks++
      this.brokenSince ??= Date.now()
      this.silentSince = undefined
      this.clockOffset = undefined
    })
    client.on('ready', () => (this.brokenSince = undefined))
    return client
  }

  private within<T>(timeout: number, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const giveUp = () => {
        if (isAnswered) return
        this.silentSince = Date.now()
        reject(new Silence(timeout))
      }
      // After a busy event loop the answer may be there, and only not read yet.
      const timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), timeout)
      const answered = () => {
        isAnswered = true
        clearTimeout(timer)
      }
      promise.then(
        (value) => {
          answered()
          this.silentSince = undefined
          resolve(value)
        },
        (error: unknown) => {
          answered()
          reject(error as Error)
        },
      )
    })
  }

  private define(client: Connection, { name, lua }: Script<unknown>): void {
    if (this.defined.has(name)) return
    client.defineCommand(name, { numberOfKeys: 1, lua })
    this.defined.add(name)
  }

  /** Redis's clock minus this process's, in ms. */
  private offset(client: Connection): Promise<number> {
    if (this.clockOffset) return this.clockOffset
    const measured = measureOffset(client)
    measured.catch(() => (this.clockOffset = undefined))
    return (this.clockOffset = measured)
  }
}

type Command = (...args: (string | number)[]) => Promise<unknown>

async function measureOffset(client: Connection): Promise<number> {
  const sent = Date.now()
  const [seconds, microseconds] = await client.time()
  const received = Date.now()
  // Redis read its clock no later than now: an offset that is too small only makes deadlines a bit shorter.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (received > sent ? received : sent)
}

class Silence extends Error {
  constructor(timeout: number) {
    super(`no answer within ${Math.round(timeout)} ms`)
  }
}

function isExpired(error: unknown): boolean {
  return error instanceof Error && error.message.includes('EXPIRED')
}

/** What Redis answers when it cannot take anything from anybody for now. */
const NOT_NOW =
  /\b(EXPIRED|OOM|MISCONF|BUSY|LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM)\b/

/** What Redis said of a single job, sorted as `run` sorts what it says of all. */
export function explained(error: Error): Error {
  return NOT_NOW.test(error.message) ? unavailable(error.message, error) : error
}

/** Redis has answered, and does not want this: a key of another type, no permission. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && !NOT_NOW.test(error.message)
}

function unavailable(reason: string, cause?: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    `Redis cannot be reached (${reason}): check that it runs and that BullHandler's "redis" names it.`,
    { cause },
  )
}

import { LONGEST_TIMER } from '../../concurrency/sleep'
import { InvalidOptionError, StoreUnavailableError } from '../../errors'
import { errorMessage } from '../../reporting/safe-error'
import { isError } from '../../reporting/text-of'
import type { Connection, Connections } from './connections'
import type { Script } from './scripts/script'
import { withoutArguments } from './without-arguments'

/** How much sooner Redis refuses than the caller gives up, in ms, because timers may end a moment early. */
const MARGIN = 5
/** How long a connection must be without an answer, in ms, before a command that times out makes it be replaced. */
const SILENCE = 750

/**
 * Sends scripts with a deadline. The caller gets an error in time, and Redis, by its own clock, refuses a script that
 * arrives later. So a call that was rejected never becomes a job, although ioredis sends commands without an answer again
 * on the next connection.
 */
export class Commands {
  private connection: Connection | undefined
  private clockOffset: Promise<number> | undefined
  private brokenSince: number | undefined
  /** When a command last went without an answer. */
  private silentSince: number | undefined
  private answeredAt = -Infinity
  /** When the first command was sent after the last answer; by `performance.now()`, as `answeredAt` is. */
  private askedAt: number | undefined
  private readonly defined = new Set<string>()
  /** Grows when an answer is unknown: the command may have been done or not. */
  breaks = 0

  constructor(
    /** Makes no connection before the first command. */
    private readonly connections: Connections,
    /** Begins every key: `<prefix>:<source>:`. */
    private readonly base: string,
  ) {}

  /** Whether Redis was out of reach at the last command. */
  get isOut(): boolean {
    return this.brokenSince !== undefined || this.silentSince !== undefined
  }

  /**
   * @param timeout ms
   * @throws StoreUnavailableError, InvalidOptionError, or the error of this script alone
   */
  async run<Reply>(script: Script<Reply>, request: readonly (string | number)[], timeout: number): Promise<Reply> {
    const reply = await this.ask(timeout, (client, deadline) => this.send(client, script, request, deadline))
    if (script.mustWrite) this.connections.answered()
    return reply
  }

  /**
   * Sends a command that may be sent twice.
   * @param timeout ms
   */
  async ask<T>(timeout: number, question: (client: Connection, deadline: number) => Promise<T>): Promise<T> {
    const client = this.client
    if (client.isCluster && !HASH_TAG.test(this.base)) throw hashTagMissing()
    const now = Date.now()
    const { brokenSince, silentSince } = this
    if (brokenSince !== undefined && now - brokenSince >= timeout) throw unavailable('it is disconnected')
    // After a timeout, other commands fail at once for as long as their own timeout; then one tries again.
    if (silentSince !== undefined && now - silentSince < timeout) throw unavailable('it does not answer')
    const deadline = now + timeout - MARGIN
    try {
      return await this.within(timeout, question(client, deadline))
    } catch (error) {
      this.breaks++
      withoutArguments(error)
      if (!isError(error) || error.name !== 'ReplyError') throw unavailable(errorMessage(error), error)
      if (READ_ONLY.test(error.message)) this.connections.giveUp('Redis has become a read-only replica')
      throw storeError(error)
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
      // The caller has given up, so the command need not be sent at all.
      if (Date.now() >= deadline) throw new Silence(0)
      try {
        return script.read(await command.call(client, this.base, validUntil, ...request))
      } catch (error) {
        this.silentSince = undefined // it has answered
        if (!isExpired(error)) throw error
        this.clockOffset = undefined
        // Sent in time, but late by Redis's clock, because one of the clocks was set.
        if (Date.now() >= deadline) throw error
      }
    }
  }

  private get client(): Connection {
    const current = this.connections.client
    if (current !== this.connection) {
      this.connection = this.watch(current)
      this.defined.clear()
      this.clockOffset = undefined
      this.brokenSince = undefined
    }
    return current
  }

  private watch(client: Connection): Connection {
    client.on('close', () => {
      if (client !== this.connection) return
      this.breaks++
      this.brokenSince ??= Date.now()
      this.askedAt = undefined
      this.clockOffset = undefined
    })
    client.on('ready', () => {
      this.brokenSince = undefined
      this.silentSince = undefined
    })
    return client
  }

  private within<T>(timeout: number, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const begin = performance.now()
      this.askedAt ??= begin
      const giveUp = () => {
        if (isAnswered) return
        this.silentSince = Date.now()
        const since = Math.max(this.answeredAt, Math.min(begin, this.askedAt ?? begin))
        if (performance.now() - since >= SILENCE) this.connections.giveUp('Redis does not answer on them')
        reject(new Silence(timeout))
      }
      // After a busy event loop, the answer may have arrived without having been read yet.
      const timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), Math.min(timeout, LONGEST_TIMER))
      const answered = () => {
        isAnswered = true
        clearTimeout(timer)
      }
      promise.then(
        (value) => {
          answered()
          this.silentSince = undefined
          this.askedAt = undefined
          this.answeredAt = performance.now()
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
  // Redis has read its clock no later than `received`. An offset that is too small only makes deadlines a bit shorter.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (received > sent ? received : sent)
}

class Silence extends Error {
  constructor(timeout: number) {
    super(`no answer within ${Math.round(timeout)} ms`)
  }
}

function isExpired(error: unknown): boolean {
  return isError(error) && error.message.includes('EXPIRED')
}

/** What Redis answers when it accepts no command for now. */
const NOT_NOW =
  /\b(EXPIRED|OOM|MISCONF|BUSY|LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM)\b/

const READ_ONLY = /\bREADONLY\b/

/** What Redis Cluster answers when keys are not in the same slot. */
const APART = /non[- ]local key|CROSSSLOT/i
const HASH_TAG = /\{[^}]+\}/

/**
 * Turns an error of Redis into StoreUnavailableError when Redis accepts no command for now, or into InvalidOptionError when
 * the prefix does not suit a cluster. Returns any other error itself, such as one about a key of another type.
 */
export function storeError(error: Error): Error {
  if (APART.test(error.message)) return hashTagMissing(error)
  return NOT_NOW.test(error.message) ? unavailable(error.message, error) : error
}

function hashTagMissing(cause?: unknown): InvalidOptionError {
  return new InvalidOptionError(
    `BullHandler: a Redis Cluster keeps keys together only where they share a hash tag: give a prefix with one, such as prefix: '{shop}'.`,
    { cause },
  )
}

function unavailable(reason: string, cause?: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    `Redis cannot be reached (${reason}): check that it runs and that BullHandler's "redis" names it.`,
    { cause },
  )
}

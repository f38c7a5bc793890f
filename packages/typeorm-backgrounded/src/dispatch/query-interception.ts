import { AsyncLocalStorage } from 'node:async_hooks'
import type { QueryRunner } from 'typeorm'
import type { Dialect } from '../database/dialect'
import { withResolver } from '../concurrency/sleep'
import { edgeOf, type Edge } from './transaction-edges'

/** Sends a statement as the runner would have sent it by itself. */
export type Send = (sql: string) => Promise<unknown>

export interface InterceptionHost {
  readonly dialect: Dialect | undefined
  /** Gets a statement at an edge of the transaction instead of the database, and sends it. */
  atEdge(edge: Edge, sql: string, send: Send): Promise<unknown>
  /** A statement of the application has failed. */
  failed(error: unknown): void
}

/** Marks statements that a handler sends through the application's runner, which wait for no turn. */
const ownStatements = new AsyncLocalStorage<true>()

/** Runs what a handler does with the application's runner while the application's own statements wait. */
export function asOwnStatements<T>(work: () => T): T {
  return ownStatements.run(true, work)
}

/**
 * From now on, the statements of this one runner at the edges of its transaction go through `atEdge`. All its other
 * statements are sent as before, and all in the order in which the application has sent them. Neither the driver's client
 * nor any other runner is changed.
 */
export class Interception {
  /** Sends a statement past the interception. */
  readonly send: Send
  private readonly restore: () => void
  /** Statements of the application that have no answer yet. */
  private inFlight = 0
  private idle: ReturnType<typeof withResolver> | undefined
  /** Rows are written before a statement of the application, or between two: what it sends next waits for its turn. */
  private isBusy = false
  private readonly waiting: (() => void)[] = []

  constructor(
    runner: QueryRunner,
    private readonly host: InterceptionHost,
  ) {
    const own = Object.getOwnPropertyDescriptor(runner, 'query')
    const { query } = runner
    const pass = (...args: unknown[]) => Reflect.apply(query, runner, args) as Promise<unknown>
    this.send = pass
    const intercepting = (sql: string, ...rest: unknown[]) => this.query(sql, (text) => pass(text, ...rest))
    Object.defineProperty(runner, 'query', {
      value: intercepting,
      writable: true,
      configurable: true,
      enumerable: false,
    })
    this.restore = () => {
      if ((runner.query as unknown) !== intercepting) return // other code has wrapped it since, and still calls this one
      if (own) Object.defineProperty(runner, 'query', own)
      else delete (runner as { query?: unknown }).query
    }
  }

  stop(): void {
    this.restore()
  }

  /** Sends statements of this library while no statement of the application is on its way. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.isBusy) await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.isBusy = true
    try {
      if (this.inFlight > 0) await (this.idle ??= withResolver()).promise
      return await work()
    } finally {
      this.nextTurn()
    }
  }

  private query(sql: string, send: Send): Promise<unknown> {
    if (ownStatements.getStore()) return send(sql)
    if (this.isBusy) {
      return new Promise((resolve, reject) => {
        this.waiting.push(() => void this.query(sql, send).then(resolve, reject))
      })
    }
    const edge = edgeOf(sql, this.host.dialect)
    return edge ? this.sendAtEdge(edge, sql, send) : this.track(send(sql))
  }

  private sendAtEdge(edge: Edge, sql: string, send: Send): Promise<unknown> {
    let isSent = false
    let hasTurn = false
    const end = () => {
      isSent = true
      if (!hasTurn) return
      hasTurn = false
      this.nextTurn()
    }
    const answer = this.host.atEdge(edge, sql, (text) => {
      const sent = this.track(send(text))
      end()
      return sent
    })
    if (isSent) return answer
    hasTurn = this.isBusy = true
    answer.then(end, end)
    return answer
  }

  private nextTurn(): void {
    this.isBusy = false
    while (!this.isBusy && this.waiting.length > 0) this.waiting.shift()?.()
  }

  private track(answer: Promise<unknown>): Promise<unknown> {
    this.inFlight++
    answer.then(this.answered, this.refused)
    return answer
  }

  private readonly answered = () => {
    if (--this.inFlight > 0) return
    this.idle?.resolve()
    this.idle = undefined
  }

  private readonly refused = (error: unknown) => {
    this.answered()
    this.host.failed(error)
  }
}

import type { QueryRunner } from 'typeorm'
import { edgeOf, type Edge } from './savepoints'

/** Sends a statement as the runner would have sent it by itself. */
export type Send = (sql: string) => Promise<unknown>

/** Gets the statements at a transaction's edges instead of the database. */
export type AtEdge = (edge: Edge, sql: string, send: Send) => Promise<unknown>

export interface Interception {
  readonly send: Send
  stop(): void
}

/**
 * From now on, the statements of this one runner at the edges of its transaction go through `atEdge`. All its other
 * statements are sent as before. Neither the driver's client nor any other runner is changed.
 */
export function interceptEdges(runner: QueryRunner, atEdge: AtEdge): Interception {
  const own = Object.getOwnPropertyDescriptor(runner, 'query')
  const { query } = runner
  const pass = (...args: unknown[]) => Reflect.apply(query, runner, args) as Promise<unknown>
  const intercepting = (sql: string, ...rest: unknown[]): Promise<unknown> => {
    const edge = edgeOf(sql)
    return edge ? atEdge(edge, sql, (text) => pass(text, ...rest)) : pass(sql, ...rest)
  }
  Object.defineProperty(runner, 'query', {
    value: intercepting,
    writable: true,
    configurable: true,
    enumerable: false,
  })
  const stop = () => {
    if ((runner.query as unknown) !== intercepting) return // other code has wrapped it since, and still calls this one
    if (own) Object.defineProperty(runner, 'query', own)
    else delete (runner as { query?: unknown }).query
  }
  return { send: pass, stop }
}

import type { QueryRunner } from 'typeorm'
import { edgeOf, type Edge } from './savepoints'

/** Sends a statement as the runner would have sent it by itself. */
export type Send = (sql: string) => Promise<unknown>

/** Is given the statements at a transaction's edges instead of the database. */
export type AtEdge = (edge: Edge, sql: string, send: Send) => Promise<unknown>

export interface Interception {
  readonly send: Send
  stop(): void
}

/**
 * From now on, what this one runner is asked to send at an edge of its transaction goes through `atEdge`; all other
 * statements pass by. Neither the driver's client nor any other runner is touched.
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
    if ((runner.query as unknown) !== intercepting) return // somebody has wrapped it since, and calls this one still
    if (own) Object.defineProperty(runner, 'query', own)
    else delete (runner as { query?: unknown }).query
  }
  return { send: pass, stop }
}

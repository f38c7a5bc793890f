import { POOL, type Figure, type Turn } from '../figure'
import { createPlace } from '../places/places'
import type { PrivatePlace } from '../places/place'
import type { Node } from '../processes/node'
import { SIDES } from '../sides'
import { WORKS } from '../work'
import type { Metrics, Work } from '../work/work'
import type { Environment, FigureResult, TurnResult } from './result'

/** What a run is told while it goes on. */
export interface Watcher {
  begins(figure: Figure, turn: Turn, round: number, rounds: number): void
  ended(figure: Figure, turn: Turn, metrics: Metrics | null): void
}

/** Measures a figure: its turns one after the other, again and again. A turn that fails does not end the others. */
export async function measure(
  figure: Figure,
  pairs: number,
  node: Node,
  environment: Environment,
  watcher: Watcher,
  signal: AbortSignal,
): Promise<FigureResult> {
  const rounds: (Metrics | null)[][] = []
  const failures: string[] = []
  const kept = new Map<Turn, PrivatePlace>()
  const count = figure.rounds ?? pairs
  try {
    for (let round = 0; round < count; round++) {
      const results: (Metrics | null)[] = []
      for (const turn of figure.turns) {
        signal.throwIfAborted()
        watcher.begins(figure, turn, round, count)
        const metrics = await take(turn, node.path, figure.keepsPlaces ? kept : undefined).catch((error: Error) => {
          signal.throwIfAborted()
          failures.push(`${turn.label}: ${error.message}`)
          return null
        })
        watcher.ended(figure, turn, metrics)
        results.push(metrics)
      }
      rounds.push(results)
    }
  } finally {
    for (const place of kept.values()) await place.dispose()
  }
  const { name, title, store, turns } = figure
  return { name, title, store, turns: turns.map(toldOf), rounds, failures, environment: on(node, environment) }
}

async function take(turn: Turn, node: string, kept?: Map<Turn, PrivatePlace>): Promise<Metrics> {
  const place = kept?.get(turn) ?? (await createPlace(SIDES[turn.side].store, turn.pool ?? POOL, node))
  kept?.set(turn, place)
  try {
    return rounded(await (WORKS[turn.work] as Work<unknown>)(turn.side, place, turn.settings))
  } finally {
    if (!kept) await place.dispose()
  }
}

function on({ version }: Node, environment: Environment): Environment {
  return { ...environment, versions: { Node: version, ...environment.versions } }
}

function toldOf({ label, side, settings, pool }: Turn): TurnResult {
  const told = Object.entries(settings as object).map(([name, value]: [string, unknown]) => [
    name,
    name === 'text' ? `${String(value).length} B` : (value as number),
  ])
  return { label, side, settings: { ...Object.fromEntries(told), pool: pool ?? POOL } }
}

/** To four digits, which is more than they are worth. */
function rounded(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, Number(value.toPrecision(4))]))
}

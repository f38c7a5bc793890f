import type { Store } from '../places/place'
import type { SideName } from '../sides'
import type { Metrics } from '../work/work'

/** What a run leaves: enough to draw every table again. */
export interface Result {
  readonly isQuick: boolean
  readonly figures: readonly FigureResult[]
}

export interface FigureResult {
  readonly name: string
  readonly title: string
  readonly store?: Store
  readonly turns: readonly TurnResult[]
  /** In the order of time: the metrics of each turn; absent where it failed. */
  readonly rounds: readonly (readonly (Metrics | null)[])[]
  readonly failures: readonly string[]
  readonly environment: Environment
}

export interface TurnResult {
  readonly label: string
  readonly side: SideName
  readonly settings: Readonly<Record<string, number | string>>
}

/** Where and with what a figure was measured. */
export interface Environment {
  /** ISO, the day only */
  readonly date: string
  readonly machine: Readonly<Record<string, string>>
  readonly versions: Readonly<Record<string, string>>
}

/** The figures of the one, replaced or followed by those of the other. */
export function merged(old: Result | undefined, fresh: Result, order: readonly string[]): Result {
  const names = new Set(fresh.figures.map(({ name }) => name))
  const all = [...(old?.figures ?? []).filter(({ name }) => !names.has(name)), ...fresh.figures]
  const known = all.filter(({ name }) => order.includes(name))
  return { ...fresh, figures: known.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)) }
}

import type { Environment, FigureResult } from '../src/measure/result'
import type { SideName } from '../src/sides'
import type { Metrics } from '../src/work/work'

export const environment: Environment = {
  date: '2026-01-01',
  machine: { cores: '2 × abacus' },
  versions: { Node: '20.19.0', bull: '4.16.5' },
}

/** A figure of sides that all do the same; one list of metrics for each round. */
export function figure(name: string, sides: readonly SideName[], rounds: readonly (Metrics | null)[][]): FigureResult {
  const turns = sides.map((side) => ({ label: side, side, settings: { jobs: 5, pool: 10 } }))
  return { name, title: `The ${name}`, store: 'redis', turns, rounds, failures: [], environment }
}

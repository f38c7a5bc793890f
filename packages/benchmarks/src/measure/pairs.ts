import type { Measured, Target } from '../targets'
import type { FigureResult } from './result'
import { spreadOf, type Spread } from './statistics'

/** Compares the two sides of a target within each round, where they were neighbours. */
export function comparisonsOf(target: Target, { turns, rounds }: FigureResult): number[] {
  const index = ({ turn }: Measured) =>
    typeof turn === 'number' ? turn : turns.findIndex(({ label }) => label === turn)
  const [of, against] = [index(target.of), index(target.against)]
  return rounds.flatMap((round) => {
    const a = round[of]?.[target.of.metric]
    const b = round[against]?.[target.against.metric]
    if (a === undefined || b === undefined || Number.isNaN(a) || Number.isNaN(b)) return []
    return [target.compare === 'ratio' ? a / b : a - b]
  })
}

/** The values of one metric of one turn, in all rounds. */
export function valuesOf({ rounds }: FigureResult, turn: number, metric: string): number[] {
  return rounds.flatMap((round) => round[turn]?.[metric] ?? [])
}

export interface Verdict {
  readonly target: Target
  /** Absent: not measured. */
  readonly spread?: Spread
  readonly isBarMet?: boolean
  readonly isGoalMet?: boolean
}

/** By the median of the rounds. */
export function verdictOf(target: Target, figure: FigureResult | undefined): Verdict {
  const comparisons = figure ? comparisonsOf(target, figure) : []
  if (comparisons.length === 0) return { target }
  const spread = spreadOf(comparisons)
  const reaches = (limit: number) => (target.better === 'more' ? spread.median >= limit : spread.median <= limit)
  return {
    target,
    spread,
    isBarMet: target.bar === undefined ? undefined : reaches(target.bar),
    isGoalMet: reaches(target.goal),
  }
}

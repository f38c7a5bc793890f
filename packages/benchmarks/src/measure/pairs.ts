import type { Best, Measured, Target } from '../targets'
import type { FigureResult } from './result'
import { median, spreadOf, type Spread } from './statistics'

/** Compares the two sides of a target within each round, where they were neighbours. */
export function comparisonsOf(target: Target, figure: FigureResult): number[] {
  const of = placeOf(target.of, figure)
  const against = opponentOf(target, figure)
  return figure.rounds.flatMap((round) => {
    const a = round[of]?.[target.of.metric]
    if (a === undefined || Number.isNaN(a)) return []
    if (target.compare === 'alone') return [a]
    const b = against === undefined ? undefined : round[against]?.[target.against?.metric ?? '']
    if (b === undefined || Number.isNaN(b)) return []
    return [target.compare === 'ratio' ? a / b : a - b]
  })
}

/** The turn that the target is compared with, by its place in the round. Of several, it is the best one by its median. */
export function opponentOf({ against, better }: Target, figure: FigureResult): number | undefined {
  if (!against) return undefined
  if (!isBest(against)) return placeOf(against, figure)
  const measured = against.turns
    .map((label) => placeOf({ turn: label }, figure))
    .map((place) => ({ place, value: median(valuesOf(figure, place, against.metric)) }))
    .filter(({ value }) => !Number.isNaN(value))
  return measured.sort((a, b) => (better === 'more' ? b.value - a.value : a.value - b.value))[0]?.place
}

export function isBest(against: Measured | Best): against is Best {
  return 'turns' in against
}

function placeOf({ turn }: Pick<Measured, 'turn'>, { turns }: FigureResult): number {
  return typeof turn === 'number' ? turn : turns.findIndex(({ label }) => label === turn)
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

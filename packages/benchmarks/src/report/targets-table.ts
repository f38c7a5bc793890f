import { figuresOf } from '../figures'
import { isBest, opponentOf, verdictOf, type Verdict } from '../measure/pairs'
import type { FigureResult } from '../measure/result'
import { FULL } from '../sizes'
import { TARGETS, type Target } from '../targets'
import { nameOf } from './figure-section'
import { markdownTable } from './markdown-table'
import { numeral, withSpread } from './numbers'

/** Names those that were not measured, too. */
const CATALOGUE = figuresOf(FULL)

/** Every target, what was measured for it, and whether bar and goal are met. */
export function targetsTable(figures: readonly FigureResult[], { isWhole }: { isWhole: boolean }): string {
  const byName = new Map(figures.map((figure) => [figure.name, figure]))
  const targets = TARGETS.filter(({ figure }) => isWhole || byName.has(figure))
  if (targets.length === 0) return ''
  const rows = targets.map((target) => {
    const figure = byName.get(target.figure)
    return rowOf(verdictOf(target, figure), opponent(target, figure))
  })
  return markdownTable([['', 'compared with', 'median (least … most)', 'bar', 'goal'], ...rows])
}

function rowOf({ target, spread, isBarMet, isGoalMet }: Verdict, opponent: string): string[] {
  return [
    target.title,
    opponent,
    spread ? `${withSpread(spread)} ${target.unit}` : 'not measured',
    limit(target, target.bar, isBarMet),
    limit(target, target.goal, isGoalMet),
  ]
}

function opponent(target: Target, figure: FigureResult | undefined): string {
  const { against, of } = target
  if (!against) return ''
  if (!isBest(against)) {
    if (against.metric !== of.metric) return `its ${against.metric} tenth`
    const turns = CATALOGUE.find(({ name }) => name === target.figure)?.turns ?? []
    const turn = turns.find(({ label }, index) => label === against.turn || index === against.turn)
    return turn ? nameOf(turn) : String(against.turn)
  }
  const place = figure && opponentOf(target, figure)
  const best = place === undefined ? undefined : figure?.turns[place]
  const measured = against.turns.filter((label) => figure?.turns.some((turn) => turn.label === label))
  return best ? `${nameOf(best)}, the best of ${measured.length}` : `the best of ${against.turns.join(', ')}`
}

function limit({ better, unit }: Target, value: number | undefined, isMet: boolean | undefined): string {
  if (value === undefined) return ''
  const text = `${better === 'more' ? '≥' : '≤'} ${numeral(value)} ${unit}`
  return isMet === undefined ? text : `${text}: ${isMet ? 'met' : '**missed**'}`
}

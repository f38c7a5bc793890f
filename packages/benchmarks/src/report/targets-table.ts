import { verdictOf, type Verdict } from '../measure/pairs'
import type { FigureResult } from '../measure/result'
import { TARGETS, type Target } from '../targets'
import { markdownTable } from './markdown-table'
import { numeral, withSpread } from './numbers'

/** Every target, what was measured for it, and whether bar and goal are met. */
export function targetsTable(figures: readonly FigureResult[], { isWhole }: { isWhole: boolean }): string {
  const byName = new Map(figures.map((figure) => [figure.name, figure]))
  const targets = TARGETS.filter(({ figure }) => isWhole || byName.has(figure))
  if (targets.length === 0) return ''
  const rows = targets.map((target) => rowOf(verdictOf(target, byName.get(target.figure)), byName.get(target.figure)))
  return markdownTable([['', 'compared with', 'median (least … most)', 'bar', 'goal'], ...rows])
}

function rowOf({ target, spread, isBarMet, isGoalMet }: Verdict, figure: FigureResult | undefined): string[] {
  return [
    target.title,
    opponentOf(target, figure),
    spread ? `${withSpread(spread)} ${target.unit}` : 'not measured',
    limit(target, target.bar, isBarMet),
    limit(target, target.goal, isGoalMet),
  ]
}

function opponentOf({ against, of }: Target, figure: FigureResult | undefined): string {
  const turn = figure?.turns.find(({ label }, index) => label === against.turn || index === against.turn)
  const name = turn ? (turn.label === turn.side ? turn.title : turn.label) : `${against.turn}`
  return against.metric === of.metric ? name : `its ${against.metric} tenth`
}

function limit({ better, unit }: Target, value: number | undefined, isMet: boolean | undefined): string {
  if (value === undefined) return ''
  const text = `${better === 'more' ? '≥' : '≤'} ${numeral(value)} ${unit}`
  return isMet === undefined ? text : `${text}: ${isMet ? 'met' : '**missed**'}`
}

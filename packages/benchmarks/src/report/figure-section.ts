import { valuesOf } from '../measure/pairs'
import type { FigureResult } from '../measure/result'
import { SIDES, type SideName } from '../sides'
import { spreadOf } from '../measure/statistics'
import { markdownTable } from './markdown-table'
import { METRICS, withSpread } from './numbers'

const STORES = { redis: 'Redis', postgres: 'Postgres', mariadb: 'MariaDB', sqlite: 'SQLite' }

/** What each side of a figure took. */
export function figureSection(figure: FigureResult): string {
  const metrics = metricsOf(figure)
  const head = ['', ...metrics.map((metric) => headOf(metric))]
  const rows = figure.turns.map((turn, index) => [
    nameOf(turn),
    ...metrics.map((metric) => {
      const values = valuesOf(figure, index, metric)
      return values.length > 0 ? withSpread(spreadOf(values)) : 'failed'
    }),
  ])
  const failures = [...new Set(figure.failures)].map((failure) => `Failed: ${failure.split('\n')[0]}`)
  return [`### ${titleOf(figure)}`, markdownTable([head, ...rows]), settingsOf(figure), ...failures].join('\n\n')
}

/** What a turn is called. */
export function nameOf({ label, side }: { readonly label: string; readonly side: SideName }): string {
  return label === side ? SIDES[side].title : label
}

export function titleOf({ title, store }: FigureResult): string {
  return store ? `${title}: ${STORES[store]}` : title
}

export function metricsOf({ rounds }: FigureResult): string[] {
  return [...new Set(rounds.flat().flatMap((metrics) => Object.keys(metrics ?? {})))]
}

function headOf(metric: string): string {
  const { title, unit } = METRICS[metric] ?? { title: metric, unit: '' }
  return unit ? `${title}, ${unit}` : title
}

function settingsOf({ turns, rounds }: FigureResult): string {
  const all = turns.map(({ settings }) => settings)
  const names = [...new Set(all.flatMap((settings) => Object.keys(settings)))]
  const told = names.flatMap((name) => {
    const values = [...new Set(all.map((settings) => settings[name]))]
    // What differs is in the labels.
    return values.length === 1 ? [`${name} ${String(values[0])}`] : []
  })
  return [`${rounds.length} round${rounds.length === 1 ? '' : 's'}`, ...told].join(', ') + '.'
}

import { valuesOf } from '../measure/pairs'
import type { FigureResult } from '../measure/result'
import { median } from '../measure/statistics'
import { titleOf } from './figure-section'
import { numeral } from './numbers'

const COLUMNS = 2
const PANEL = { width: 480, head: 34, bar: 18, gap: 6, foot: 18 }
const LABEL = 205
const VALUE = 70
const MARGIN = 16
const COLOURS = { library: '#2563eb', other: '#94a3b8', text: '#1e293b', faint: '#64748b' }

/** docs/benchmarks.svg: of every figure that has a pace, a panel with a bar for each turn. */
export function chartOf(figures: readonly FigureResult[]): string {
  const panels = figures.map(barsOf).filter(({ bars }) => bars.length > 1)
  const columns = Array.from({ length: COLUMNS }, () => ({ y: MARGIN, drawn: [] as string[] }))
  for (const panel of panels) {
    const column = columns.reduce((lowest, each) => (each.y < lowest.y ? each : lowest))
    const x = MARGIN + columns.indexOf(column) * (PANEL.width + MARGIN)
    column.drawn.push(`<g transform="translate(${x} ${column.y})">${drawn(panel)}</g>`)
    column.y += PANEL.head + panel.bars.length * (PANEL.bar + PANEL.gap) + PANEL.foot
  }
  const width = MARGIN + COLUMNS * (PANEL.width + MARGIN)
  const height = Math.max(...columns.map(({ y }) => y))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      'font-family="system-ui, sans-serif" role="img" aria-label="Jobs a second">',
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...columns.flatMap(({ drawn }) => drawn),
    '</svg>',
    '',
  ].join('\n')
}

interface Panel {
  readonly title: string
  readonly bars: readonly Bar[]
}

interface Bar {
  readonly label: string
  readonly value: number
  readonly isLibrary: boolean
}

function barsOf(figure: FigureResult): Panel {
  const bars = figure.turns.flatMap(({ label, side }, index) => {
    const values = valuesOf(figure, index, 'pace')
    return values.length > 0 ? [{ label, value: median(values), isLibrary: side.startsWith('library') }] : []
  })
  return { title: titleOf(figure), bars }
}

function drawn({ title, bars }: Panel): string {
  const most = Math.max(...bars.map(({ value }) => value))
  const head = text(0, 16, title, { size: 13, weight: 600 })
  const rows = bars.map(({ label, value, isLibrary }, index) => {
    const y = PANEL.head + index * (PANEL.bar + PANEL.gap)
    const width = Math.max(1, Math.round((value / most) * (PANEL.width - LABEL - VALUE)))
    return [
      text(LABEL - 8, y + 13, label, { size: 12, anchor: 'end' }),
      `<rect x="${LABEL}" y="${y}" width="${width}" height="${PANEL.bar}" rx="2" fill="${isLibrary ? COLOURS.library : COLOURS.other}"/>`,
      text(LABEL + width + 6, y + 13, numeral(value), { size: 12, fill: COLOURS.faint }),
    ].join('')
  })
  return [head, ...rows].join('\n')
}

interface TextStyle {
  readonly size: number
  readonly weight?: number
  readonly anchor?: string
  readonly fill?: string
}

function text(x: number, y: number, content: string, { size, weight, anchor, fill = COLOURS.text }: TextStyle): string {
  const more = [weight ? ` font-weight="${weight}"` : '', anchor ? ` text-anchor="${anchor}"` : ''].join('')
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}"${more}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

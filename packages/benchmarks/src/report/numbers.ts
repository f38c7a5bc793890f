import type { Spread } from '../measure/statistics'

/** How metrics are named and printed. */
export const METRICS: Readonly<Record<string, { readonly title: string; readonly unit: string }>> = {
  pace: { title: 'a second', unit: '' },
  p50: { title: 'p50', unit: 'ms' },
  p99: { title: 'p99', unit: 'ms' },
  rss: { title: 'memory', unit: 'MB' },
  statements: { title: 'statements a minute', unit: '' },
  cpu: { title: 'CPU', unit: '% of a core' },
  wal: { title: 'a job', unit: 'B' },
  bytes: { title: 'a job', unit: 'B' },
  first: { title: 'first tenth, a second', unit: '' },
  last: { title: 'last tenth, a second', unit: '' },
  ms: { title: 'time', unit: 'ms' },
  modules: { title: 'modules', unit: '' },
  ...Object.fromEntries(
    Array.from({ length: 10 }, (_, index) => (index + 1) * 10).map((percent) => [
      `rss${percent}`,
      { title: `${percent} %`, unit: 'MB' },
    ]),
  ),
}

export function numeral(value: number): string {
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** As `12,300 (11,000–13,100)`. */
export function withSpread({ median, least, most }: Spread): string {
  return `${numeral(median)} (${numeral(least)} … ${numeral(most)})`
}

import { expect } from 'chai'
import { chartOf } from '../../src/report/chart'
import { numeral } from '../../src/report/numbers'
import { reportOf } from '../../src/report/report'
import { figure } from '../support'

const drain = figure(
  'drain-50-redis',
  ['library-redis', 'bull'],
  [
    [
      { pace: 9_000, rss: 100 },
      { pace: 3_000, rss: 90 },
    ],
    [
      { pace: 8_000, rss: 150 },
      { pace: 5_000, rss: 90 },
    ],
  ],
)

describe('the report', () => {
  it('shows the median of the ratios, their spread, and whether bar and goal are met', () => {
    const lines = reportOf({ isQuick: false, figures: [drain] }).split('\n')
    expect(lines).to.include(
      '| Bull handler: drain with reload, 50 slots | Bull by hand | 2.30 (1.60 … 3.00) × | ≥ 2.00 ×: met | ≥ 4.00 ×: **missed** |',
    )
    expect(lines).to.include('| this library, BullHandler | 8,500 (8,000 … 9,000) | 125 (100 … 150) |')
    expect(lines).to.include('2 rounds, jobs 5, pool 10.')
  })

  it('names the best of several peers', () => {
    const sides = ['library-postgres', 'graphile', 'pg-boss', 'bullmq-postgres'] as const
    const bulk = figure('enqueue-bulk-postgres', sides, [[{ pace: 30 }, { pace: 10 }, { pace: 20 }, { pace: 5 }]])
    const report = reportOf({ isQuick: false, figures: [bulk] })
    expect(report).to.include('| pg-boss by hand, batches of 500, the best of 3 | 1.50 (1.50 … 1.50) × |')
  })

  it('shows a value that is a target by itself', () => {
    const rest = figure('rest-postgres', ['library-postgres'], [[{ statements: 50, cpu: 0.2 }]])
    const report = reportOf({ isQuick: false, figures: [rest] })
    expect(report).to.include('|  | 50.0 (50.0 … 50.0) a minute | ≤ 100 a minute: met | ≤ 40.0 a minute: **missed** |')
  })

  it('says where a side failed', () => {
    const failed = {
      ...figure('drain-50-redis', ['library-redis'], [[null]]),
      failures: ['library-redis: no Redis\n  at'],
    }
    expect(reportOf({ isQuick: false, figures: [failed] })).to.include('Failed: library-redis: no Redis\n')
  })

  it('warns of what --quick measures', () => {
    expect(reportOf({ isQuick: true, figures: [drain] })).to.include('these figures mean nothing')
    expect(reportOf({ isQuick: false, figures: [drain] })).not.to.include('these figures mean nothing')
  })

  it('prints as many digits as a number is worth', () => {
    expect([0.123, 12.34, 123.4, 12345].map(numeral)).to.deep.equal(['0.12', '12.3', '123', '12,345'])
  })
})

describe('the chart', () => {
  it('has a bar for each turn, as long as its share of the longest', () => {
    const widths = [...chartOf([drain]).matchAll(/<rect x="\d+" y="\d+" width="(\d+)"/g)].map(([, width]) =>
      Number(width),
    )
    expect(widths).to.have.length(2)
    expect((widths[1] as number) / (widths[0] as number)).to.be.closeTo(4_000 / 8_500, 0.01)
  })

  it('escapes what is markup', () => {
    expect(chartOf([{ ...drain, title: 'a < b & c' }])).to.include('a &lt; b &amp; c')
  })

  it('leaves out what has no pace', () => {
    expect(chartOf([figure('latency-redis', ['library-redis', 'bull'], [[{ p50: 1 }, { p50: 2 }]])])).not.to.include(
      '<g',
    )
  })
})

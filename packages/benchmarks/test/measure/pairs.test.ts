import { expect } from 'chai'
import { comparisonsOf, opponentOf, verdictOf } from '../../src/measure/pairs'
import type { Target } from '../../src/targets'
import { figure } from '../support'

const faster: Target = {
  title: 'a drain',
  figure: 'drain',
  of: { turn: 0, metric: 'pace' },
  against: { turn: 'bull', metric: 'pace' },
  compare: 'ratio',
  better: 'more',
  unit: '×',
  bar: 2,
  goal: 3,
}
const sooner: Target = { ...faster, compare: 'difference', better: 'less', unit: 'ms', bar: 1, goal: 0 }

describe('pairs', () => {
  it('compares neighbours, not medians', () => {
    const drain = figure(
      'drain',
      ['library-redis', 'bull'],
      [
        [{ pace: 200 }, { pace: 100 }],
        [{ pace: 90 }, { pace: 30 }],
        [{ pace: 50 }, { pace: 10 }],
      ],
    )
    expect(comparisonsOf(faster, drain)).to.deep.equal([2, 3, 5])
    expect(comparisonsOf(sooner, drain)).to.deep.equal([100, 60, 40])
  })

  it('compares with the best of several by its median, not with the best of each round', () => {
    const drain = figure(
      'drain',
      ['library-redis', 'bull', 'bullmq'],
      [
        [{ pace: 200 }, { pace: 100 }, { pace: 20 }],
        [{ pace: 200 }, { pace: 100 }, { pace: 400 }],
        [{ pace: 200 }, { pace: 50 }, { pace: 20 }],
      ],
    )
    const best = { ...faster, against: { turns: ['bull', 'bullmq'], metric: 'pace' } }
    expect(comparisonsOf(best, drain)).to.deep.equal([2, 2, 4])
    expect(opponentOf(best, drain)).to.equal(1)
    expect(opponentOf({ ...best, better: 'less' }, drain)).to.equal(2)
  })

  it('leaves out of several those that were not measured', () => {
    const drain = figure('drain', ['library-redis', 'bull', 'bullmq'], [[{ pace: 200 }, null, { pace: 20 }]])
    const best = { ...faster, against: { turns: ['pg-boss', 'bull', 'bullmq'], metric: 'pace' } }
    expect(comparisonsOf(best, drain)).to.deep.equal([10])
  })

  it('takes a value alone where nothing is named to compare it with', () => {
    const rest = figure('rest', ['library-postgres'], [[{ cpu: 0.2 }], [{ cpu: 0.1 }]])
    const alone: Target = { ...sooner, of: { turn: 0, metric: 'cpu' }, against: undefined, compare: 'alone' }
    expect(comparisonsOf(alone, rest)).to.deep.equal([0.2, 0.1])
  })

  it('leaves out a round in which a side failed', () => {
    const drain = figure(
      'drain',
      ['library-redis', 'bull'],
      [
        [null, { pace: 100 }],
        [{ pace: 90 }, { pace: 30 }],
      ],
    )
    expect(comparisonsOf(faster, drain)).to.deep.equal([3])
  })

  it('judges by the median, where more is better and where less is', () => {
    const drain = figure('drain', ['library-redis', 'bull'], [[{ pace: 2.5 }, { pace: 1 }]])
    expect(verdictOf(faster, drain)).to.include({ isBarMet: true, isGoalMet: false })
    expect(verdictOf(sooner, drain)).to.include({ isBarMet: false, isGoalMet: false })
    const idle = figure('drain', ['library-redis', 'bull'], [[{ pace: 1 }, { pace: 1 }]])
    expect(verdictOf(sooner, idle)).to.include({ isBarMet: true, isGoalMet: true })
  })

  it('judges nothing that was not measured', () => {
    expect(verdictOf(faster, undefined)).to.deep.equal({ target: faster })
    expect(verdictOf(faster, figure('drain', ['library-redis'], [[{ pace: 1 }]]))).to.deep.equal({ target: faster })
  })
})

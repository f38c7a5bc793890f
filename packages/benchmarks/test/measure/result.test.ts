import { expect } from 'chai'
import { merged } from '../../src/measure/result'
import { figure } from '../support'

describe('a kept result', () => {
  const old = { isQuick: false, figures: [figure('a', [], [[{ pace: 1 }]]), figure('gone', [], [])] }
  const fresh = { isQuick: false, figures: [figure('c', [], []), figure('b', [], [])] }

  it('keeps the figures that were not measured again, in the order of the list', () => {
    expect(merged(old, fresh, ['a', 'b', 'c']).figures.map(({ name }) => name)).to.deep.equal(['a', 'b', 'c'])
  })

  it('replaces a figure that was', () => {
    const again = figure('a', [], [[{ pace: 2 }]])
    expect(merged(old, { isQuick: false, figures: [again] }, ['a']).figures).to.deep.equal([again])
  })
})

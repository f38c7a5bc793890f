import { expect } from 'chai'
import { median, quantile, spreadOf } from '../../src/measure/statistics'

describe('statistics', () => {
  it('finds the median of an odd and of an even number of values, in any order', () => {
    expect(median([5, 1, 3])).to.equal(3)
    expect(median([4, 1, 2, 3])).to.equal(2.5)
  })

  it('finds a quantile between two values in proportion', () => {
    expect(quantile([0, 10, 20, 30], 0.99)).to.be.closeTo(29.7, 1e-9)
    expect(quantile([7], 0.99)).to.equal(7)
  })

  it('has no median of nothing', () => {
    expect(median([])).to.be.NaN
  })

  it('leaves the values in their order', () => {
    const values = [3, 1, 2]
    expect(spreadOf(values)).to.deep.equal({ median: 2, least: 1, most: 3 })
    expect(values).to.deep.equal([3, 1, 2])
  })
})

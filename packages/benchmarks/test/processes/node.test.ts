import { expect } from 'chai'
import { turnsOf } from '../../src/figure'
import { isNewEnough, nodeOf } from '../../src/processes/node'

describe('the Node of a figure', () => {
  it('is new enough from the version that graphile-worker asks for', () => {
    const versions = ['20.20.2', '22.17.9', '22.18.0', '23.0.0', '24.21.0']
    expect(versions.filter(isNewEnough)).to.deep.equal(['22.18.0', '23.0.0', '24.21.0'])
  })

  it('is this one where better-sqlite3 is loaded', async () => {
    const turns = turnsOf(['library-sqlite', 'floor-sqlite'], 'drain', { jobs: 1, slots: 1 })
    expect((await nodeOf({ turns })).path).to.equal(process.execPath)
  })
})

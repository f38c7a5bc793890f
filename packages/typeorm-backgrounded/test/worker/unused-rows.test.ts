import { expect } from 'chai'
import { UnusedRows } from '../../src/worker/reload/unused-rows'

describe('rows that were prefetched with a claim', () => {
  const query = { entity: 'User', select: () => '' }
  const rowsOf = () => new UnusedRows(async (rows) => new Map(rows.map((row) => ['5', row])))

  it('are used only while they are fresh, each for one job', async () => {
    const rows = rowsOf()
    const read = { query, rows: [{ id: 5 }], at: performance.now() }
    expect(await rows.take(read, '5')).to.deep.equal({ id: 5 })
    expect(await rows.take(read, '5')).to.equal(undefined)
  })

  it('are not used when the job has waited for a slot for longer than 100 ms', async () => {
    const read = { query, rows: [{ id: 5 }], at: performance.now() - 101 }
    expect(await rowsOf().take(read, '5')).to.equal(undefined)
  })
})

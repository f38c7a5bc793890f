import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { ProgressWrites } from '../../src/handlers/consumption/progress-writes'
import type { Outcome } from '../../src'

describe('the last progress of a job', () => {
  const claim = { id: '1' }
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const completed = [{ job: { claim }, outcome: { state: 'completed' } as Outcome }]
  let stored: (string | null)[]
  let ends: (() => void)[]
  let writes: ProgressWrites<{ id: string }>

  beforeEach(() => {
    stored = []
    ends = []
    writes = new ProgressWrites(async (values) => {
      stored.push(...values.map(({ progress }) => progress))
      await new Promise<void>((resolve) => ends.push(resolve))
    }, logger)
  })

  it('is stored after an earlier one that is still on its way', async () => {
    writes.set(claim, 'half')
    await turn()
    writes.set(claim, 'all')
    const end = writes.beforeTheEnd(completed, true)
    await turn()
    expect(stored).to.deep.equal(['"half"'])
    ends[0]?.()
    await turn()
    expect(stored).to.deep.equal(['"half"', '"all"'])
    ends[1]?.()
    await end
  })

  it('is stored with a completed job only where such jobs are kept', async () => {
    writes.set(claim, 'dropped')
    await writes.beforeTheEnd(completed, false)
    writes.set(claim, 'kept')
    const end = writes.beforeTheEnd(completed, true)
    await turn()
    ends[0]?.()
    await end
    expect(stored).to.deep.equal(['"kept"'])
  })
})

import { expect } from 'chai'
import { ClaimCursors } from '../../../src/handlers/database/server/claim-cursors'
import type { Lane } from '../../../src/handlers/database/server/leased-jobs'
import type { ClaimedRow } from '../../../src/handlers/database/claimed-row'

/** ms: long enough for the next claims of a test to start at the cursors. */
const SLOW_SCAN = 60_000

describe('the cursors of claims', () => {
  const lane = (queue: string, runAt = 0): Lane => ({ suspect: 0, queue, priority: 0, runAt, id: '', wait: 0 })
  const claimed = (queue: string, runAt: number) =>
    ({ suspect: 0, queue, priority: 0, runAt, id: `${runAt}` }) as unknown as ClaimedRow
  const reply = (lanes: readonly Lane[], jobs: readonly ClaimedRow[] = []) => ({
    lanes,
    claimed: jobs,
    leaseLost: new Set<string>(),
  })
  const places = (cursors: ClaimCursors) => cursors.current?.map(({ queue, runAt }) => `${queue} ${runAt}`)

  it('are not there before the first full scan, nor when one is due', () => {
    const cursors = new ClaimCursors()
    expect(cursors.current).to.equal(undefined)
    cursors.advance(true, SLOW_SCAN, reply([lane('mail')]))
    expect(places(cursors)).to.deep.equal(['mail 0'])
    cursors.forget()
    expect(cursors.current).to.equal(undefined)
  })

  it('move to the last job that was claimed from their lane, and never back', () => {
    const cursors = new ClaimCursors()
    cursors.advance(true, SLOW_SCAN, reply([lane('mail', 5), lane('images')], [claimed('mail', 7), claimed('mail', 9)]))
    expect(places(cursors)).to.deep.equal(['mail 9', 'images 0'])
    cursors.advance(false, 0, reply([lane('mail', 9)], [claimed('mail', 8)]))
    expect(places(cursors)).to.include('mail 9')
  })

  it('stay where they are in lanes that a claim did not reach', () => {
    const cursors = new ClaimCursors()
    cursors.advance(true, SLOW_SCAN, reply([lane('mail'), lane('images', 3)]))
    cursors.advance(false, 0, reply([lane('mail')], [claimed('mail', 4)]))
    expect(places(cursors)).to.have.members(['mail 4', 'images 3'])
  })

  it('are gone with a lane that a full scan does not find any more', () => {
    const cursors = new ClaimCursors()
    cursors.advance(true, SLOW_SCAN, reply([lane('mail'), lane('images')]))
    cursors.advance(true, SLOW_SCAN, reply([lane('mail')]))
    expect(places(cursors)).to.deep.equal(['mail 0'])
  })

  it('leave full scans at most a tenth of the time', () => {
    const cursors = new ClaimCursors()
    cursors.advance(true, 1_000, reply([lane('mail')]))
    expect(cursors.untilFullScan).to.be.within(8_500, 9_000)
  })
})

import { expect } from 'chai'
import { InFlightJobs } from '../../../src/handlers/database/server/in-flight-jobs'
import type { ClaimedRow, InFlightRow } from '../../../src/handlers/database/claimed-row'

describe('the jobs in flight of a worker', () => {
  const row = (id: string, { lease = 1, suspect = 0 } = {}) =>
    ({ id, lease, suspect, queue: 'default', attempt: 1, releasedSince: null }) as unknown as ClaimedRow
  const started = (jobs: InFlightJobs, slots: number) => jobs.start(slots).map(({ id }) => id)
  let jobs: InFlightJobs

  beforeEach(() => {
    jobs = new InFlightJobs(() => {})
  })

  it('start only while there are free slots; those of dead workers need none, because they are not run', () => {
    jobs.add([row('a'), row('b')])
    jobs.add([row('dead')], true)
    expect(started(jobs, 1)).to.deep.equal(['a', 'dead'])
    expect(started(jobs, 1)).to.deep.equal(['b'])
  })

  it('lose their lease when the table no longer names this worker, or names another lease', () => {
    jobs.add([row('kept'), row('gone'), row('taken over', { lease: 1 })])
    const [kept, gone, takenOver] = jobs.start(3)
    jobs.reconcileWith([row('kept'), row('taken over', { lease: 2 })], new Set())
    expect([kept, gone, takenOver].map((job) => job?.signal.aborted)).to.deep.equal([false, true, true])
  })

  it('keep it when they have just ended, because their rows may be gone already', () => {
    jobs.add([row('ended')])
    const [ended] = jobs.start(1)
    jobs.reconcileWith([], new Set([ended as InFlightRow]))
    expect(ended?.signal.aborted).to.equal(false)
  })

  it('are joined by a claim whose answer was lost', () => {
    jobs.reconcileWith([row('unheard of')], new Set())
    const [job] = jobs.start(1)
    expect(job).to.include({ id: 'unheard of', died: false })
  })

  it('are joined by a suspect that the table has for this worker, which gets an outcome without being run', () => {
    jobs.reconcileWith([row('suspect', { suspect: 1 })], new Set())
    const [job] = jobs.start(0)
    expect(job).to.include({ id: 'suspect', died: true })
  })
})

import { expect } from 'chai'
import { JobRun } from '../../src/worker/job-run'

describe('a run of a job', () => {
  it('passes no progress on after its end', () => {
    const stored: unknown[] = []
    const progress = (value: unknown) => void stored.push(value)
    const run = new JobRun({ id: '1', queue: 'default', attempt: 1, envelope: {}, progress })
    run.progress('half')
    run.ended()
    run.progress('late')
    expect(stored).to.deep.equal(['half'])
  })
})

import { expect } from 'chai'
import { currentJob, currentJobOrUndefined } from '../../src'
import { runAsJob } from '../../src/testing'

describe('runAsJob', () => {
  it('shows the work a job, with the fields that were given', () => {
    const seen = runAsJob(() => currentJob(), { id: 'seven', attempt: 3, queue: 'mail', key: { id: 7 } })
    expect(seen).to.deep.include({ id: 'seven', attempt: 3, queue: 'mail', key: { id: 7 } })
    expect(seen).to.include.keys('entity', 'method', 'attempts', 'enqueuedAt', 'signal', 'progress', 'log')
  })

  it('returns what the work returns, and throws what it throws', async () => {
    expect(runAsJob(() => 5)).to.equal(5)
    expect(await runAsJob(async () => Promise.resolve(6))).to.equal(6)
    expect(() =>
      runAsJob(() => {
        throw new RangeError('inside')
      }),
    ).to.throw(RangeError, 'inside')
  })

  it('applies through every await of the work, and not after it', async () => {
    const ids = await runAsJob(
      async () => {
        const before = currentJob().id
        await new Promise((done) => setImmediate(done))
        return [before, currentJob().id]
      },
      { id: 'one' },
    )
    expect(ids).to.deep.equal(['one', 'one'])
    expect(currentJobOrUndefined()).to.equal(undefined)
  })

  it('keeps two that run side by side apart', async () => {
    const run = (id: string) =>
      runAsJob(
        async () => {
          await new Promise((done) => setImmediate(done))
          return currentJob().id
        },
        { id },
      )
    expect(await Promise.all([run('a'), run('b')])).to.deep.equal(['a', 'b'])
  })

  it('takes progress and a signal of the test', () => {
    const progress: unknown[] = []
    const controller = new AbortController()
    controller.abort()
    runAsJob(
      () => {
        currentJob().progress(50)
        expect(currentJob().signal.aborted).to.equal(true)
      },
      { progress: (value) => progress.push(value), signal: controller.signal },
    )
    expect(progress).to.deep.equal([50])
  })
})

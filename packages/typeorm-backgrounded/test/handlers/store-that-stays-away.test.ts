import { expect } from 'chai'
import type { ClaimedJob, ConsumeOptions } from '../../src'
import type { JobStore } from '../../src/handlers/consumption/job-store'
import { StoreConsumption } from '../../src/handlers/consumption/store-consumption'

describe('a consumption that is stopped while its store is away', () => {
  const job: ClaimedJob = { id: '1', queue: 'default', attempt: 1, envelope: {} }
  const options: ConsumeOptions = {
    queues: '*',
    concurrency: 1,
    pollInterval: 5,
    once: false,
    applied() {},
    leaseLost() {},
  }
  let said: string[]
  let isClosed: boolean
  let endOfMethod: () => void

  /** Gives out one job, and is never heard of again. */
  const storeThatGoesAway = (): JobStore => {
    let asked = 0
    return {
      lease: 300,
      acknowledgeAndClaim: () =>
        asked++ === 0
          ? Promise.resolve({ claimed: [job], leaseLost: new Set() })
          : Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
      wait: () => new Promise(() => {}),
      close: () => void (isClosed = true),
    }
  }

  const consume = async () => {
    said = []
    isClosed = false
    const note = (_: object, message?: string) => void said.push(String(message))
    const started = new Promise<void>((begun) => {
      consumption = new StoreConsumption(
        storeThatGoesAway(),
        options,
        async () => {
          begun()
          await new Promise<void>((resolve) => (endOfMethod = resolve))
          return { state: 'completed' }
        },
        { debug: note, info: note, warn: note, error: note },
      )
    })
    await started
  }
  let consumption: StoreConsumption<ClaimedJob>

  it('tries to store its outcomes for one lease, says which jobs will run again, and ends', async () => {
    await consume()
    endOfMethod()
    const begin = performance.now()
    await consumption.stop(Date.now() + 50)
    expect(performance.now() - begin, 'the stop').to.be.below(250)
    await consumption.finished
    expect(performance.now() - begin, 'its end').to.be.within(280, 2_000)
    expect(said.some((each) => each.includes('will run again'))).to.equal(true)
    expect(isClosed).to.equal(true)
  })

  it('ends when the last running method has ended and the store has been away for a lease', async () => {
    await consume()
    await consumption.stop(Date.now())
    endOfMethod()
    await consumption.finished
    expect(isClosed).to.equal(true)
  })

  it('tries once if the process exits', async () => {
    await consume()
    endOfMethod()
    const begin = performance.now()
    await consumption.stop(Date.now() + 50, { exiting: true })
    await consumption.finished
    expect(performance.now() - begin).to.be.below(250)
  })
})

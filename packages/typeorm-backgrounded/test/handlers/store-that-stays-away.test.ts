import { expect } from 'chai'
import type { ClaimedJob, ConsumeOptions, Outcome } from '../../src'
import type { JobStore } from '../../src/handlers/consumption/job-store'
import { StoreConsumption } from '../../src/handlers/consumption/store-consumption'
import { until } from '../support/worker-process'

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

  it('sends the outcomes that it has not sent yet where the process exits', async () => {
    const first: ClaimedJob = { ...job, id: 'first' }
    const second: ClaimedJob = { ...job, id: 'second' }
    const ends = new Map<ClaimedJob, () => void>()
    const sent: string[][] = []
    let hangs = () => {}
    const isHanging = new Promise<void>((resolve) => (hangs = resolve))
    const store: JobStore = {
      acknowledgeAndClaim: (finished) => {
        sent.push(finished.map((each) => `${each.job.id} ${each.outcome.state}`))
        if (sent.length === 1) return Promise.resolve({ claimed: [first, second], leaseLost: new Set() })
        hangs()
        return sent.length === 2 ? new Promise(() => {}) : Promise.resolve({ claimed: [], leaseLost: new Set() })
      },
      wait: () => new Promise(() => {}),
      close() {},
    }
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const execute = async (each: ClaimedJob): Promise<Outcome> => {
      await new Promise<void>((resolve) => ends.set(each, resolve))
      return { state: 'completed' }
    }
    const hanging = new StoreConsumption(store, { ...options, concurrency: 2 }, execute, logger)
    await until(() => ends.size === 2)
    ends.get(first)?.()
    await isHanging
    ends.get(second)?.()
    await hanging.stop(Date.now() + 50, { exiting: true })
    expect(sent).to.deep.equal([[], ['first completed'], ['second completed']])
  })
})

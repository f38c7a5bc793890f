import { expect } from 'chai'
import { setImmediate as turn } from 'node:timers/promises'
import { consumeStore, type ClaimedJob, type ConsumeOptions, type Outcome, type SimpleStore } from '../../src'
import { oddValues } from '../support/odd-values'
import { until } from '../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const job = (id: string): ClaimedJob => ({ id, queue: 'default', attempt: 1, envelope: { entity: 'A', method: 'b' } })

/** A store that answers oddly, and then gives one good job. */
function storeOf(odd: Partial<SimpleStore>, applied: string[]): SimpleStore {
  let asked = 0
  return {
    claim: (slots) => {
      asked++
      if (asked === 1 && odd.claim) return odd.claim(slots)
      return asked === 2 ? [job('good')] : []
    },
    apply: ({ id }: ClaimedJob) => void applied.push(id),
    wait: () => turn(),
    ...('apply' in odd || 'wait' in odd || 'close' in odd ? odd : {}),
  }
}

describe('consumeStore with an odd store', () => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown) => unhandled.push(reason)
  before(() => process.on('unhandledRejection', onUnhandled))
  after(() => process.off('unhandledRejection', onUnhandled))

  async function work(
    odd: Partial<SimpleStore>,
    execute: (job: ClaimedJob) => Promise<Outcome> = () => Promise.resolve({ state: 'completed' }),
    options: Partial<ConsumeOptions> = {},
    expected = ['good'],
  ): Promise<string[]> {
    const applied: string[] = []
    const consumption = consumeStore(
      storeOf(odd, applied),
      { queues: '*', concurrency: 3, pollInterval: 5, once: false, applied() {}, leaseLost() {}, ...options },
      execute,
      silent,
    )
    try {
      await until(() => expected.every((id) => applied.includes(id)), 5_000)
    } finally {
      await consumption.stop(Date.now() + 1_000)
      await consumption.finished
    }
    await turn()
    expect(unhandled.splice(0)).to.deep.equal([])
    return applied
  }

  for (const [title, value] of Object.entries(oddValues)) {
    it(`goes on after it has claimed ${title}`, async () => {
      await work({ claim: () => value() as ClaimedJob[] })
      await work({ claim: () => [value() as ClaimedJob] })
      await work({ claim: () => [{ ...job('odd'), envelope: value() }] })
      await work({ claim: () => [{ ...job('odd'), attempt: value() as number, signal: value() as AbortSignal }] })
      await work({
        claim: () => {
          throw value()
        },
      })
    })

    it(`goes on after a job's run gave, or rejected with, ${title}`, async () => {
      const claim = () => [job('odd')]
      const isOdd = ({ id }: ClaimedJob) => id === 'odd'
      const completed: Outcome = { state: 'completed' }
      const both = ['odd', 'good']
      const oddly = (act: () => unknown) => (each: ClaimedJob) =>
        isOdd(each) ? (act() as Promise<Outcome>) : Promise.resolve(completed)
      const throws = oddly(() => {
        throw value()
      })
      await work({ claim }, throws, {}, both)
      await work(
        { claim },
        oddly(async () => {
          throw value()
        }),
        {},
        both,
      )
      await work(
        { claim },
        oddly(() => new Promise((resolve) => setImmediate(() => resolve({ state: value() })))),
        {},
        both,
      )
      await work(
        { claim },
        oddly(() => Promise.resolve({ state: 'released', delay: value(), reason: value(), since: value() })),
        {},
        both,
      )
    })

    it(`goes on after a callback threw, or rejected with, ${title}`, async () => {
      const throws = () => {
        throw value()
      }
      await work({}, undefined, { applied: throws, leaseLost: throws })
      await work({}, undefined, { applied: async () => throws(), leaseLost: async () => throws() })
    })
  }

  it('retries an outcome that the store refuses, and applies the others meanwhile', async () => {
    let refusals = 3
    const applied: string[] = []
    const apply = ({ id }: ClaimedJob) => {
      if (id === 'odd' && refusals-- > 0) throw new Error('not this one')
      applied.push(id)
    }
    const jobs = [job('odd'), job('1'), job('2')]
    const consumption = consumeStore(
      { claim: () => jobs.splice(0, 1), apply },
      { queues: '*', concurrency: 1, pollInterval: 5, once: false, applied() {}, leaseLost() {} },
      () => Promise.resolve({ state: 'completed' }),
      silent,
    )
    await until(() => applied.length === 3)
    await consumption.stop(Date.now() + 1_000)
    expect(applied).to.deep.equal(['1', '2', 'odd'])
  })

  it('does not block the event loop if the store never waits', async () => {
    await work({ wait: () => Promise.resolve() })
  })

  it('stops even if the store waits for ever', async () => {
    await work({ wait: () => new Promise(() => {}) }, undefined, {}, [])
  })

  it('ends even if close() rejects', async () => {
    await work({ close: () => Promise.reject(new Error('it does not close')) })
  })
})

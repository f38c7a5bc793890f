import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  consumeStore,
  createWorker,
  drain,
  withBackgrounded,
} from '../../src'
import type { ClaimedJob, Consumption, ConsumeOptions, Execute, JobEnvelope, Outcome, SimpleStore } from '../../src'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { inMemory } from '../support/data-sources'
import { until } from '../support/worker-process'
import { InMemoryHandler } from './in-memory-handler'

const posted: string[] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded()
  post(text: string): void {
    posted.push(text)
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** A store that fails a given number of times. */
class FlakyHandler extends InMemoryHandler {
  failures = { claim: 0, apply: 0 }
  applied: string[] = []
  holdsLeases = true

  override consume(options: ConsumeOptions, execute: Execute) {
    return consumeStore<ClaimedJob & { dueAt: number }>(
      {
        claim: (slots, queue) => {
          if (this.failures.claim-- > 0) throw new Error('the store is away')
          return this.claim(slots, queue)
        },
        apply: (job, outcome) => this.tryApply(job, outcome),
      },
      options,
      execute,
      quiet,
    )
  }

  private async tryApply(job: ClaimedJob & { dueAt: number }, outcome: Outcome): Promise<boolean> {
    const [text] = (job.envelope as JobEnvelope).args
    if (text === 'first' && this.failures.apply-- > 0) throw new Error('the store is away')
    this.applied.push(String(text))
    this.apply(job, outcome)
    return this.holdsLeases
  }
}

describe('consumeStore', () => {
  let handler: FlakyHandler
  let dataSource: DataSource

  beforeEach(async () => {
    posted.length = 0
    handler = new FlakyHandler()
    dataSource = await withBackgrounded(inMemory([Letter]), { handler, logger: quiet }).initialize()
    const letter = await dataSource.manager.save(new Letter())
    await backgrounded(letter).post('first')
    await backgrounded(letter).post('second')
  })
  afterEach(() => dataSource.destroy())

  it('retries an outcome that the store could not take, and no other', async () => {
    handler.failures.apply = 2
    const worker = createWorker(dataSource, { concurrency: 2, pollInterval: 10 })
    const finished = worker.run()
    await until(() => worker.counts.completed === 2)
    await worker.stop()
    await finished
    expect(handler.applied).to.have.members(['first', 'second'])
    expect(posted).to.have.members(['first', 'second'])
  })

  it('claims again from a store that is back', async () => {
    handler.failures.claim = 2
    const worker = createWorker(dataSource, { pollInterval: 10 })
    const finished = worker.run()
    await until(() => worker.counts.completed === 2)
    await worker.stop()
    await finished
    expect(posted).to.deep.equal(['first', 'second'])
  })

  it('ends a drain with the error of a store that is away', async () => {
    handler.failures.claim = 1
    const error = await drain(dataSource).then(
      () => undefined,
      (reason: Error) => reason,
    )
    expect(error?.message).to.equal('the store is away')
  })

  it('reports a lost lease when the store does', async () => {
    handler.holdsLeases = false
    const lost: string[] = []
    backgroundedEvents(dataSource).on('leaseLost', ({ job }) => void lost.push(job.method))
    expect((await drain(dataSource)).completed).to.equal(0)
    expect(lost).to.deep.equal(['post', 'post'])
  })

  it('claims from one queue after the other if a worker has a list of them', async () => {
    const [letter] = await dataSource.manager.find(Letter)
    await backgrounded(letter as Letter, { queue: 'urgent' }).post('urgent')
    await drain(dataSource, { queues: ['urgent', 'default'], concurrency: 1 })
    expect(posted).to.deep.equal(['urgent', 'first', 'second'])
  })
})

describe('the loop of consumeStore', () => {
  const job = (id: string): ClaimedJob => ({ id, queue: 'default', attempt: 1, envelope: {} })
  const completes: Execute = () => Promise.resolve({ state: 'completed' })

  function consume(store: SimpleStore, options: Partial<ConsumeOptions>, execute = completes): Consumption {
    const usual = { queues: '*' as const, concurrency: 1, pollInterval: 5, once: true, applied() {}, leaseLost() {} }
    return consumeStore(store, { ...usual, ...options }, execute, quiet)
  }

  it('starts the next job before it reports what became of the last one', async () => {
    const jobs = [job('1'), job('2')]
    const steps: string[] = []
    const applied = ({ id }: ClaimedJob) => void steps.push(`${id} is applied`)
    const execute: Execute = (each) => {
      steps.push(`${each.id} starts`)
      return completes(each)
    }
    await consume({ claim: () => jobs.splice(0, 1), apply() {} }, { applied }, execute).finished
    expect(steps).to.deep.equal(['1 starts', '2 starts', '1 is applied', '2 is applied'])
  })

  it('applies an outcome once, also where the claim after it fails', async () => {
    const applied: string[] = []
    const reported: string[] = []
    let claims = 0
    const claim = () => {
      claims++
      if (claims === 2) throw new Error('the store is away')
      return claims === 1 ? [job('1')] : []
    }
    const options = { once: false, applied: ({ id }: ClaimedJob) => void reported.push(id) }
    const consumption = consume({ claim, apply: ({ id }) => void applied.push(id) }, options)
    await until(() => reported.length === 1)
    await consumption.stop(Date.now() + 1_000)
    expect(applied).to.deep.equal(['1'])
  })

  it('claims no more jobs from all queues of a list together than there are free slots', async () => {
    const waiting = new Map([
      ['urgent', [job('1')]],
      ['default', [job('2'), job('3'), job('4')]],
    ])
    let running = 0
    let most = 0
    const execute: Execute = async () => {
      most = Math.max(most, ++running)
      await turn()
      running--
      return { state: 'completed' }
    }
    const claim = (slots: number, queue = '') => waiting.get(queue)?.splice(0, slots) ?? []
    await consume({ claim, apply() {} }, { queues: [...waiting.keys()], concurrency: 2 }, execute).finished
    expect(most).to.equal(2)
  })

  it('ends a drain with the error of a store that refuses an outcome, once the other jobs have run', async () => {
    const jobs = [job('1'), job('2')]
    const applied: string[] = []
    const apply = ({ id }: ClaimedJob) => {
      if (id === '1') throw new Error('not this one')
      applied.push(id)
    }
    const { finished } = consume({ claim: () => jobs.splice(0, 1), apply }, {})
    const error: unknown = await finished.catch((reason: unknown) => reason)
    expect(error).to.have.property('message', 'not this one')
    expect(applied).to.deep.equal(['2'])
  })

  it('tries a refused outcome again where nothing else happens', async () => {
    const jobs = [job('1')]
    const applied: string[] = []
    let refusals = 1
    const apply = ({ id }: ClaimedJob) => {
      if (refusals-- > 0) throw new Error('not now')
      applied.push(id)
    }
    const store = { claim: () => jobs.splice(0, 1), apply, wait: () => new Promise<void>(() => {}) }
    const consumption = consume(store, { once: false })
    await until(() => applied.length === 1)
    await consumption.stop(Date.now() + 1_000)
  })

  it('gives timers their turn while there is always a job that ends at once', async () => {
    const MOST = 200_000
    let claims = 0
    const store = {
      claim: () => (claims++ < MOST ? [job('again')] : []),
      apply() {},
      wait: () => new Promise<void>(() => {}),
    }
    const consumption = consume(store, { once: false })
    await new Promise((resolve) => setTimeout(resolve, 1))
    await consumption.stop(Date.now() + 1_000)
    expect(claims).to.be.below(MOST)
  })
})

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
import type { ClaimedJob, ConsumeOptions, Execute, JobEnvelope, Outcome } from '../../src'
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

/** A store that fails as often as it is told. */
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

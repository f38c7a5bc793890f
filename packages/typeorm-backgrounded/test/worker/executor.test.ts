import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  DiscardJob,
  drain,
  reference,
  SnoozeJob,
  withBackgrounded,
  WorkerStoppingError,
  type ClaimedJob,
  type JobEnvelope,
  type Outcome,
} from '../../src'
import { runtimeOf } from '../../src/plugin/attach'
import { LeaseLostError, WorkerDiedError } from '../../src/errors'
import { FakeHandler } from '../../src/testing'
import { EntityLoader } from '../../src/worker/reload/entity-loader'
import { Executor } from '../../src/worker/executor'
import { inMemory } from '../support/data-sources'

const ran: unknown[][] = []
const silent = { debug() {}, info() {}, warn() {}, error() {} }
let thrown: unknown
const delays: unknown[][] = []

@Entity()
class Job {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: 'job' }) name!: string

  @Backgrounded() work(...args: unknown[]): unknown {
    ran.push(args)
    return args[0]
  }
  @Backgrounded() fail(): void {
    throw thrown
  }
  @Backgrounded({ attempts: 3, backoff: [10, 20] }) failWithList(): void {
    throw thrown
  }
  @Backgrounded({
    backoff: (attempt, error) => {
      delays.push([attempt, error])
      return 7
    },
  })
  async failWithFunction(): Promise<void> {
    await Promise.reject(thrown as Error)
  }
  @Backgrounded({
    backoff: () => {
      throw new Error('the backoff is broken')
    },
  })
  failWithBrokenBackoff(): void {
    throw thrown
  }
  @Backgrounded({ onMissing: 'fail' }) missingFails(): void {}
  @Backgrounded({ onMissing: 'retry', attempts: 2 }) missingRetries(): void {}
  @Backgrounded({ attempts: 1 }) onlyOnce(): void {}
  unmarked(): void {
    ran.push(['UNMARKED'])
  }
  @Backgrounded() static sweep(...args: unknown[]): void {
    ran.push(['sweep', ...args])
  }
}

describe('the executor', () => {
  let dataSource: DataSource
  let executor: Executor
  let id: number
  let now: number
  const started: unknown[] = []

  before(async () => {
    dataSource = await withBackgrounded(inMemory([Job]), { handler: new FakeHandler(), logger: silent }).initialize()
    ;({ id } = await dataSource.manager.save(new Job()))
    executor = new Executor({
      manager: () => dataSource.manager,
      source: 'default',
      methods: runtimeOf(dataSource).methods,
      loader: new EntityLoader(dataSource),
      events: backgroundedEvents(dataSource),
      logger: silent,
      now: () => now,
    })
    backgroundedEvents(dataSource).on('started', (event) => started.push(event))
  })
  beforeEach(() => {
    ran.length = started.length = delays.length = 0
    now = 1_800_000_000_000
    thrown = new Error('it broke')
  })
  after(() => dataSource.destroy())

  const run = (fields: object = {}, claim: Partial<ClaimedJob> = {}): Promise<Outcome> =>
    executor.execute({
      id: randomUUID(),
      queue: 'default',
      attempt: 1,
      envelope: { entity: 'Job', key: { id }, method: 'work', ...fields },
      ...claim,
    })

  const states: Record<string, unknown> = {}
  const stateOf = async (fields: object, claim?: Partial<ClaimedJob>) => {
    const outcome = await run(fields, claim)
    return { ...states, ...outcome, error: 'error' in outcome ? outcome.error : undefined } as Outcome & {
      error?: Error & { code?: string }
      delay?: number
      reason?: string
      since?: number
    }
  }

  describe('runs', () => {
    it('a method of a row and ignores what it returns', async () => {
      expect(await run({ args: ['a', 2] })).to.deep.equal({ state: 'completed' })
      expect(ran).to.deep.equal([['a', 2]])
      expect(started).to.have.length(1)
    })

    it('a static method on its class', async () => {
      expect(await run({ key: null, method: 'sweep', args: ['x'] })).to.deep.equal({ state: 'completed' })
      expect(ran).to.deep.equal([['sweep', 'x']])
    })
  })

  describe('answers an error of the method', () => {
    it('with another attempt, after attempt⁴ + 2 seconds', async () => {
      const { state, error, delay } = await stateOf({ method: 'fail' }, { attempt: 3 })
      expect(state).to.equal('retried')
      expect(error).to.equal(thrown)
      expect(delay).to.be.within(83_000, 83_000 * 1.15 + 1)
    })

    it('with a failure when the attempts are used', async () => {
      expect(await run({ method: 'fail' }, { attempt: 9 })).to.include({ state: 'retried', attemptsLeft: 1 })
      expect(await run({ method: 'fail' }, { attempt: 10 })).to.deep.equal({ state: 'failed', error: thrown })
      expect(await run({ method: 'failWithList' }, { attempt: 3 })).to.include({ state: 'failed' })
    })

    it('with the attempts that the call gave, more or fewer', async () => {
      expect(await run({ method: 'fail', attempts: 1 })).to.include({ state: 'failed' })
      expect(await run({ method: 'failWithList', attempts: 5 }, { attempt: 4 })).to.include({ state: 'retried' })
    })

    it('with the delays of a list, of a function, and of the default if the function throws', async () => {
      expect(await stateOf({ method: 'failWithList' })).to.include({ delay: 10 })
      expect(await stateOf({ method: 'failWithList' }, { attempt: 2 })).to.include({ delay: 20 })
      expect(await stateOf({ method: 'failWithFunction' }, { attempt: 4 })).to.include({ delay: 7 })
      expect(delays).to.deep.equal([[4, thrown]])
      const broken = await stateOf({ method: 'failWithBrokenBackoff' })
      expect(broken.delay).to.be.within(3_000, 3_500)
      expect(broken.error?.message).to.match(/backoff function failed: Error: the backoff is broken/)
      expect(broken.error?.cause).to.equal(thrown)
    })

    for (const odd of [undefined, null, 'text', 0, { code: 5 }, Object.create(null)] as unknown[]) {
      it(`whatever it is: ${odd === undefined ? 'undefined' : JSON.stringify(odd)}`, async () => {
        thrown = odd
        expect(await stateOf({ method: 'fail' })).to.include({ state: 'retried', error: odd })
      })
    }

    it('with the end of the job if it discards itself', async () => {
      thrown = new DiscardJob('the customer left')
      expect(await run({ method: 'fail' })).to.deep.equal({ state: 'discarded', reason: 'the customer left' })
      expect(await run({ method: 'fail' }, { attempt: 10 })).to.include({ state: 'discarded' })
    })

    it('with a release that uses no attempt if it snoozes, even in the last attempt', async () => {
      thrown = new SnoozeJob('5m', 'the shop is closed')
      const outcome = { state: 'released', delay: 300_000, reason: 'the shop is closed' }
      expect(await run({ method: 'fail' })).to.deep.equal(outcome)
      expect(await run({ method: 'fail' }, { attempt: 10 })).to.deep.equal(outcome)
    })

    it('with a release if its worker is stopping, and with an attempt if it had lost its lease', async () => {
      const stopping = new AbortController()
      stopping.abort(new WorkerStoppingError())
      const outcome = await stateOf({ method: 'fail' }, { signal: stopping.signal, attempt: 10 })
      expect(outcome).to.include({ state: 'released', delay: 0 })
      const lost = new AbortController()
      lost.abort(new LeaseLostError())
      expect(await stateOf({ method: 'fail' }, { signal: lost.signal })).to.include({ state: 'retried' })
    })

    it("with a retry if it looks like one of the library's errors", async () => {
      const { error } = await stateOf({ entity: 'Nowhere' })
      thrown = error
      expect(await stateOf({ method: 'fail' })).to.include({ state: 'retried' })
    })
  })

  describe('answers the death of a worker', () => {
    it('with another attempt that backs off, and does not run the method now', async () => {
      const { state, error, delay } = await stateOf({}, { died: true })
      expect(state).to.equal('retried')
      expect(error).to.be.instanceOf(WorkerDiedError)
      expect(delay).to.be.at.least(3_000)
      expect(ran).to.deep.equal([])
      expect(started).to.deep.equal([])
    })

    it('with a failure when the attempts are used, at once for a method that may run once', async () => {
      expect(await stateOf({}, { died: true, attempt: 10 })).to.include({ state: 'failed' })
      expect(await stateOf({ method: 'onlyOnce' }, { died: true })).to.include({ state: 'failed' })
    })
  })

  describe('answers a row that is gone', () => {
    const gone = { key: { id: 999 } }

    it('by discarding, failing or retrying, as the method says', async () => {
      expect(await run(gone)).to.deep.equal({ state: 'discarded', reason: 'Job {"id":999} is gone.' })
      const failed = await stateOf({ ...gone, method: 'missingFails' })
      expect([failed.state, failed.error?.code]).to.deep.equal(['failed', 'ROW_MISSING'])
      expect(await stateOf({ ...gone, method: 'missingRetries' })).to.include({ state: 'retried' })
      expect(await stateOf({ ...gone, method: 'missingRetries' }, { attempt: 2 })).to.include({ state: 'failed' })
      expect(started, 'nothing has started').to.deep.equal([])
    })
  })

  describe('releases a job that this worker does not know', () => {
    const unknown: Record<string, object> = {
      'an entity': { entity: 'Nowhere' },
      'a method': { method: 'nothing' },
      'a method that is not marked': { method: 'unmarked' },
      'a method that every entity has': { method: 'save' },
      'a generated method': { method: 'workBackgrounded' },
      'an instance method as a static one': { key: null, method: 'work' },
      'a static method as one of an instance': { method: 'sweep' },
      'the name of a table': { entity: 'job' },
      'a property that is not a method': { method: 'name' },
      'an entity among the arguments': { args: [{ entity: 'Nowhere', key: { id: 1 } }], types: { '/0': 'entity' } },
      'another data source': { source: 'elsewhere' },
    }
    for (const [title, fields] of Object.entries(unknown)) {
      it(`${title}, with the reason, and runs nothing`, async () => {
        const { state, delay, since, reason } = await stateOf(fields)
        expect([state, delay, since]).to.deep.equal(['released', 1_000, now])
        expect(reason).to.match(/This worker (knows no|serves)|this worker serves/)
        expect(ran).to.deep.equal([])
      })
    }

    it('after a delay that doubles up to 5 minutes, and fails it after 7 days', async () => {
      const since = now
      const waits: number[] = []
      let outcome = await stateOf({ method: 'nothing' })
      while (outcome.state === 'released') {
        expect(outcome.since).to.equal(since)
        waits.push(outcome.delay as number)
        now += outcome.delay as number
        outcome = await stateOf({ method: 'nothing' }, { releasedSince: outcome.since })
      }
      expect(waits.slice(0, 11)).to.deep.equal([
        1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000,
      ])
      expect(Math.max(...waits)).to.equal(300_000)
      expect(outcome.state).to.equal('failed')
      expect(outcome.error?.code).to.equal('UNKNOWN_METHOD')
      expect(now - since).to.be.within(7 * 86_400_000, 7 * 86_400_000 + 300_000)
    })

    it('as if for the first time, where the store has an odd time for the first one', async () => {
      for (const releasedSince of [now + 86_400_000, -1, NaN, '2026' as never]) {
        const outcome = await stateOf({ method: 'nothing' }, { releasedSince })
        expect(outcome, String(releasedSince)).to.include({ state: 'released', since: now, delay: 1_000 })
      }
    })

    it('without using an attempt, even the last one', async () => {
      expect(await stateOf({ method: 'nothing', attempts: 1 }, { attempt: 1 })).to.include({ state: 'released' })
    })

    it('even if its worker died', async () => {
      expect(await stateOf({ method: 'nothing' }, { died: true })).to.include({ state: 'released' })
    })
  })

  describe('fails at once, and runs nothing of', () => {
    const malformed: Record<string, unknown> = {
      'a job that is no object': 'Job.work',
      'a job that is null': null,
      'a job of version 2': { v: 2, entity: 'Job', key: { id: 1 }, method: 'work' },
      constructor: { entity: 'Job', key: { id: 1 }, method: 'constructor' },
      toString: { entity: 'Job', key: { id: 1 }, method: 'toString' },
      '__proto__ as a method': { entity: 'Job', key: { id: 1 }, method: '__proto__' },
      '__proto__ as an entity': { entity: '__proto__', key: { id: 1 }, method: 'work' },
      'broken JSON in the args': { entity: 'Job', key: { id: 1 }, method: 'work', args: '[1' },
      'broken JSON in the key': { entity: 'Job', key: '{', method: 'work' },
      'types that point into a prototype': {
        entity: 'Job',
        key: { id: 1 },
        method: 'work',
        args: [{}],
        types: { '/0/__proto__/polluted': 'undefined' },
      },
      'types that point at the length of a list': {
        entity: 'Job',
        key: { id: 1 },
        method: 'work',
        args: [1],
        types: { '/length': 'undefined' },
      },
      'types that are lies': { entity: 'Job', key: { id: 1 }, method: 'work', args: [1], types: { '/0': 'Map' } },
      'a Map of what are no entries': {
        entity: 'Job',
        key: { id: 1 },
        method: 'work',
        args: [[1, 2]],
        types: { '/0': 'Map' },
      },
    }
    for (const [title, envelope] of Object.entries(malformed)) {
      it(title, async () => {
        const outcome = (await run({}, { envelope })) as { state: string; error: { code: string } }
        expect(outcome.state).to.equal('failed')
        expect(outcome.error.code).to.equal('MALFORMED_JOB')
        expect(ran).to.deep.equal([])
        expect(Object.keys(Object.prototype)).to.deep.equal([])
      })
    }

    it('a key that does not fit', async () => {
      for (const key of [{ id: 'abc' }, {}, { id: 1, name: 'x' }, { id: null }, { id: { $gt: 0 } }]) {
        const { state, error } = await stateOf({ key })
        expect([state, error?.code], JSON.stringify(key)).to.deep.equal(['failed', 'INVALID_KEY'])
      }
    })

    it('an argument whose key does not fit', async () => {
      const args = [{ entity: 'Job', key: { id: 'abc' } }]
      const { state, error } = await stateOf({ args, types: { '/0': 'entity' } })
      expect([state, error?.code]).to.deep.equal(['failed', 'INVALID_KEY'])
    })
  })

  it('never rejects and describes even what it cannot read', () => {
    for (const envelope of [null, 5, 'x', [], {}, { entity: {}, method: Symbol.iterator }]) {
      const summary = executor.summarize({ id: 'x', queue: 'q', attempt: 2, envelope })
      expect(summary).to.include({ id: 'x', queue: 'q', attempt: 2 })
    }
  })
})

describe('a drain', () => {
  let dataSource: DataSource
  let handler: FakeHandler
  let clock: number
  beforeEach(async () => {
    ran.length = 0
    clock = Date.now()
    handler = new FakeHandler(() => clock)
    dataSource = await withBackgrounded(inMemory([Job]), { handler, logger: silent }).initialize()
  })
  afterEach(() => dataSource.destroy())

  it('throws the first failure with throwOnFailure, after all jobs have run', async () => {
    const job = await dataSource.manager.save(new Job())
    thrown = new RangeError('the first')
    await backgrounded(job, { attempts: 1 }).fail()
    await backgrounded(reference(Job, 999)).missingFails()
    await backgrounded(job).work('after')
    const error = await drain(dataSource, { throwOnFailure: true, concurrency: 1 }).catch((each: unknown) => each)
    expect(error).to.equal(thrown)
    expect(ran).to.deep.equal([['after']])
  })

  it('throws nothing for jobs that are retried, discarded or released', async () => {
    const job = await dataSource.manager.save(new Job())
    thrown = new Error('once')
    await backgrounded(job).fail()
    await backgrounded(reference(Job, 999)).work()
    const counts = await drain(dataSource, { throwOnFailure: true })
    expect(counts).to.deep.equal({ completed: 0, retried: 1, failed: 0, discarded: 1, released: 0 })
  })

  it('counts a snoozed job as released, does not claim it again, and a later drain runs it as the same attempt', async () => {
    const attempts: number[] = []
    backgroundedEvents(dataSource).on('started', ({ job }) => attempts.push(job.attempt))
    thrown = new SnoozeJob(0)
    await backgrounded(await dataSource.manager.save(new Job()), { attempts: 1 }).fail()
    expect(await drain(dataSource)).to.include({ released: 1 })
    clock += 1
    expect(await drain(dataSource)).to.include({ released: 1, failed: 0 })
    expect(attempts).to.deep.equal([1, 1])
  })

  it('releases a job with an unknown method, and counts it once', async () => {
    const envelope = { entity: 'Nowhere', key: { id: 1 }, method: 'x', args: [], queue: 'default', priority: 0 }
    const at = new Date(clock).toISOString()
    await handler.enqueue([
      { v: 1, id: 'a', source: 'default', enqueuedAt: at, runAt: at, meta: {}, ...envelope },
    ] as JobEnvelope[])
    expect(await drain(dataSource)).to.deep.equal({ completed: 0, retried: 0, failed: 0, discarded: 0, released: 1 })
  })
})

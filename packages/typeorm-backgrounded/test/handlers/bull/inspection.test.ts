import { expect } from 'chai'
import { backgrounded, createWorker, drain } from '../../../src'
import { requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

describe('the inspection of jobs in Redis', () => {
  let office: PostOffice

  before(async function () {
    await requireRedis(this)
  })
  beforeEach(async () => {
    office = await PostOffice.open({}, { keepCompleted: '1h' })
  })
  afterEach(async () => {
    await office.close()
  })

  /** One job in each state that lasts, and one delayed. */
  async function oneOfEach(): Promise<void> {
    const { letter, dataSource } = office
    await backgrounded(letter).post('done')
    await backgrounded(letter, { queue: 'other' }).fail()
    await backgrounded(letter).discard()
    await drain(dataSource)
    await backgrounded(letter, { delay: '1h' }).post('later')
    await backgrounded(letter, { queue: 'other' }).post('now')
  }

  it('counts jobs by state, over all queues', async () => {
    await oneOfEach()
    expect(await office.handler.counts()).to.deep.equal({
      waiting: 2,
      running: 0,
      completed: 1,
      failed: 1,
      discarded: 1,
    })
  })

  it('finds jobs by queue, state, entity, method and key', async () => {
    await oneOfEach()
    const { handler, letter } = office
    const methods = async (query: Parameters<typeof handler.find>[0]) =>
      (await handler.find(query)).map(({ envelope, state }) => `${envelope.method} ${state}`).sort()
    expect(await methods({})).to.deep.equal([
      'discard discarded',
      'fail failed',
      'post completed',
      'post waiting',
      'post waiting',
    ])
    expect(await methods({ queue: 'other' })).to.deep.equal(['fail failed', 'post waiting'])
    expect(await methods({ state: 'discarded' })).to.deep.equal(['discard discarded'])
    expect(await methods({ method: 'post', state: 'waiting' })).to.deep.equal(['post waiting', 'post waiting'])
    expect(await methods({ key: { id: letter.id }, limit: 2 })).to.have.length(2)
    expect(await methods({ key: { id: 99 } })).to.deep.equal([])
    expect(await methods({ entity: 'Parcel' })).to.deep.equal([])
  })

  it('shows attempt, error and the envelope of a job', async () => {
    await oneOfEach()
    const [failed] = await office.handler.find({ state: 'failed' })
    expect(failed).to.include({ state: 'failed', attempt: 2 })
    expect(failed?.error).to.match(/no stamp/)
    expect(failed?.envelope).to.include({ entity: 'Letter', method: 'fail', queue: 'other', source: 'default' })
    const [discarded] = await office.handler.find({ state: 'discarded' })
    expect(discarded?.error).to.equal('not wanted any more')
  })

  it('finds among thousands', async () => {
    const { handler, letter, dataSource } = office
    const other = await dataSource.manager.save(
      Object.assign(Object.create(Object.getPrototypeOf(letter) as object), { text: '' }) as typeof letter,
    )
    await backgrounded([...(Array(1_500).fill(letter) as (typeof letter)[]), other]).post()
    expect(await handler.find({ key: { id: other.id } })).to.have.length(1)
    expect(await handler.find({ limit: 1_200 })).to.have.length(1_200)
  })

  it('retries failed and discarded jobs, with all their attempts', async () => {
    await oneOfEach()
    const kept = await office.handler.find({})
    ran.length = 0
    const retried = await office.handler.retry([...kept.map(({ id }) => id), 'unknown'])
    expect(retried).to.equal(2)
    const counts = await drain(office.dataSource)
    expect(counts).to.include({ retried: 1, failed: 1, discarded: 1, completed: 1 })
    expect(ran.filter((each) => each.startsWith('fail'))).to.deep.equal(['fail 1', 'fail 2'])
  })

  it('drops jobs in any state but a running one', async () => {
    await oneOfEach()
    await backgrounded(office.letter, { queue: 'held' }).wait()
    const worker = createWorker(office.dataSource, { queues: ['held'], shutdownTimeout: 100 })
    const finished = worker.run()
    await until(() => ran.at(-1) === 'wait')
    const jobs = await office.handler.find({})
    expect(await office.handler.discard(jobs.map(({ id }) => id))).to.equal(5)
    expect(await office.handler.counts()).to.include({ running: 1, waiting: 0, failed: 0, discarded: 0, completed: 0 })
    await worker.stop()
    await finished
  })

  it('pauses a queue and resumes it', async () => {
    const { handler, letter, dataSource } = office
    await handler.pause('default')
    await backgrounded(letter).post('paused')
    await backgrounded(letter, { queue: 'other' }).post('other')
    await drain(dataSource)
    expect(ran).to.deep.equal(['other'])
    expect((await handler.counts()).waiting).to.equal(1)
    await handler.resume('default')
    await drain(dataSource)
    expect(ran).to.deep.equal(['other', 'paused'])
  })

  it('prunes kept jobs by age and state', async () => {
    await oneOfEach()
    const { handler } = office
    expect(await handler.prune({ before: new Date(Date.now() - 60_000) })).to.equal(0)
    expect(await handler.prune({ before: new Date(Date.now() + 60_000), state: 'discarded' })).to.equal(1)
    expect(await handler.counts()).to.deep.equal({ waiting: 2, running: 0, completed: 1, failed: 1, discarded: 0 })
    expect(await handler.prune({ before: new Date(Date.now() + 60_000) })).to.equal(2)
  })
})

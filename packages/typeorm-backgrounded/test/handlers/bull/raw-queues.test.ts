import { expect } from 'chai'
import Bull from 'bull'
import { backgrounded, createWorker, drain } from '../../../src'
import { redisUrl, requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

describe('the Bull queues behind BullHandler', () => {
  let office: PostOffice

  before(async function () {
    await requireRedis(this)
  })
  beforeEach(async () => {
    office = await PostOffice.open()
  })
  afterEach(async () => {
    await office.close()
  })

  const call = (text: string) => ({ entity: 'Letter', key: { id: office.letter.id }, method: 'post', args: [text] })

  it('take jobs that Bull itself adds, from here or from elsewhere', async () => {
    await office.handler.queue('mail').add(call('raw'))
    await office.handler.queue('mail').add('named', call('named'), { priority: 3, lifo: true })
    const elsewhere = new Bull('default:default', redisUrl, { prefix: office.prefix })
    await elsewhere.add(call('elsewhere'), { delay: 1 })
    await elsewhere.close()
    await until(
      async () => (await drain(office.dataSource, { queues: ['mail', 'default'] })).completed === 0 && ran.length === 3,
    )
    expect([...ran].sort()).to.deep.equal(['elsewhere', 'named', 'raw'])
  })

  it('wake an idle worker on all queues, even from a queue that was unknown', async () => {
    const worker = createWorker(office.dataSource, { pollInterval: '10s' })
    const finished = worker.run()
    await worker.ready
    await backgrounded(office.letter).post('known')
    await until(() => ran.length === 1)
    const elsewhere = new Bull('default:brand-new', redisUrl, { prefix: office.prefix })
    // The first one makes the queue known, the second wakes the worker for both at the latest.
    await elsewhere.add(call('one'))
    await until(
      async () => (await office.handler.queue().client.sismember(`${office.prefix}:default:queues`, 'brand-new')) === 1,
    )
    await elsewhere.add(call('two'))
    await until(() => ran.length === 3)
    await elsewhere.close()
    await worker.stop()
    await finished
  })

  it("honour Bull's own attempts of such a job", async () => {
    await office.handler.queue().add({ ...call(''), method: 'fail' }, { attempts: 4 })
    const counts = await drain(office.dataSource)
    expect([counts.retried, counts.failed]).to.deep.equal([3, 1])
  })

  it('invoke nothing that a forged job names, and run its neighbours', async () => {
    const queue = office.handler.queue()
    const forged: unknown[] = [null, 5, 'text', [], {}, { entity: 'Letter' }, { ...call('x'), method: 'constructor' }]
    forged.push({ ...call('x'), args: 'none' }, { ...call('x'), key: { id: { $ne: 1 } } }, { ...call('x'), v: 2 })
    for (const data of forged) await queue.add(data)
    await queue.client.lpush(queue.toKey('wait'), 'no-such-job')
    await queue.client.hset(queue.toKey('broken'), 'data', '{broken')
    await queue.client.lpush(queue.toKey('wait'), 'broken')
    await queue.add(call('sound'))
    const counts = await drain(office.dataSource)
    expect(ran).to.deep.equal(['sound'])
    expect(counts).to.deep.equal({ completed: 1, retried: 0, failed: forged.length + 1, discarded: 0, released: 0 })
  })

  it("emit Bull's events about jobs", async () => {
    const queue = office.handler.queue()
    const heard: string[] = []
    for (const name of ['global:waiting', 'global:active', 'global:completed', 'global:failed'])
      queue.on(name, () => void heard.push(name))
    await queue.isReady()
    await until(async () => {
      await backgrounded(office.letter).post()
      await backgrounded(office.letter).fail()
      await drain(office.dataSource)
      return new Set(heard).size === 4
    })
  })

  it('do not affect a queue of the same name that is the application’s own', async () => {
    const own = new Bull('default', redisUrl, { prefix: office.prefix })
    await own.add({ mine: true })
    await backgrounded(office.letter).post('ours')
    await drain(office.dataSource)
    expect(ran).to.deep.equal(['ours'])
    expect(await own.getWaitingCount()).to.equal(1)
    await own.close()
  })

  it('may be consumed by Bull itself, with its own rules', async () => {
    await backgrounded(office.letter, { queue: 'foreign' }).post('theirs')
    const foreign = office.handler.queue('foreign')
    const seen = new Promise((resolve) => void foreign.process('*', (job) => Promise.resolve(resolve(job.data))))
    expect(await seen).to.deep.equal(call('theirs'))
    await until(async () => (await foreign.getCompletedCount()) === 1)
  })

  it("let Bull's tools remove and retry jobs that do not run, but not running ones", async () => {
    const queue = office.handler.queue()
    const waiting = await backgrounded(office.letter).post('removed')
    await (await queue.getJob(waiting.id))?.remove()
    const failing = await backgrounded(office.letter).fail()
    expect((await drain(office.dataSource)).failed).to.equal(1)
    await (await queue.getJob(failing.id))?.retry()
    expect((await drain(office.dataSource)).failed).to.equal(1)
    expect(ran).to.deep.equal(['fail 1', 'fail 2', 'fail 3'])

    const running = await backgrounded(office.letter).wait()
    const worker = createWorker(office.dataSource, { shutdownTimeout: 100 })
    const finished = worker.run()
    await until(() => ran.at(-1) === 'wait')
    const error = await (await queue.getJob(running.id))?.remove().catch((each: Error) => each.message)
    expect(error).to.match(/locked|Could not remove/)
    await worker.stop()
    await finished
  })

  it('are paused and resumed by Bull, too', async () => {
    const queue = office.handler.queue()
    await backgrounded(office.letter).post('before')
    await queue.pause()
    await backgrounded(office.letter).post('while')
    await backgrounded(office.letter, { delay: 1 }).post('delayed')
    await drain(office.dataSource)
    expect(ran).to.deep.equal([])
    await queue.resume()
    await until(async () => (await drain(office.dataSource)) && ran.length === 3)
  })
})

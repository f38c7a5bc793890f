import { expect } from 'chai'
import Bull from 'bull'
import { Redis } from 'ioredis'
import { backgrounded, createWorker, drain, type Worker } from '../../../src'
import { redisUrl, requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

describe('the names of queues in Redis', function () {
  this.timeout(60_000)
  let office: PostOffice
  let redis: Redis
  let worker: Worker | undefined
  let finished: Promise<void> | undefined

  before(async function () {
    await requireRedis(this)
  })
  beforeEach(async () => {
    office = await PostOffice.open({ settings: { stalledInterval: 50 } })
    redis = new Redis(redisUrl)
  })
  afterEach(async () => {
    await worker?.stop()
    await finished
    worker = undefined
    redis.disconnect()
    await office.close()
  })

  const work = async () => {
    worker = createWorker(office.dataSource, { pollInterval: '10s' })
    finished = worker.run()
    await worker.ready
  }
  const names = () => redis.smembers(`${office.prefix}:default:queues`)

  it('are forgotten once their queue is empty, and known again with its next job', async () => {
    for (let index = 0; index < 500; index++) await backgrounded(office.letter, { queue: `queue-${index}` }).post('x')
    expect(await names()).to.have.length(500)
    await work()
    await until(async () => ran.length === 500 && (await names()).length === 0)
    await backgrounded(office.letter, { queue: 'queue-7' }).post('again')
    await until(() => ran.includes('again'))
  })

  it('are kept while their queue has a job in any state, or is paused', async () => {
    await backgrounded(office.letter, { queue: 'delayed', delay: '1h' }).post()
    await backgrounded(office.letter, { queue: 'kept' }).discard()
    await office.handler.pause('paused')
    await drain(office.dataSource)
    await work()
    await backgrounded(office.letter, { queue: 'passing' }).post('passed')
    await until(async () => ran.includes('passed') && !(await names()).includes('passing'))
    expect((await names()).sort()).to.deep.equal(['delayed', 'kept', 'paused'])
  })

  it('cannot be added by a user who may only publish', async () => {
    await office.close()
    // Nothing is forgotten after the start.
    office = await PostOffice.open({ settings: { stalledInterval: 3_600_000 } })
    await work()
    const channel = (name: string) => `${office.prefix}:default:${name}:waiting@token`
    await until(async () => (await redis.publish(channel('warm'), 'x')) > 0)
    for (let index = 0; index < 2_000; index++) await redis.publish(channel(`invented-${index}`), 'x')
    await redis.publish(channel('x'.repeat(100_000)), 'x')
    await backgrounded(office.letter).post('after')
    await until(() => ran.includes('after'))
    expect((await names()).filter((name) => name !== 'default')).to.deep.equal([])
  })

  it('are known for jobs that Bull itself adds, long after handler.queue()', async () => {
    const queue = office.handler.queue('mail')
    await work()
    await until(async () => (await names()).includes('mail'))
    await backgrounded(office.letter, { queue: 'passing' }).post('passed')
    await until(async () => ran.includes('passed') && !(await names()).includes('passing'))
    expect(await names()).to.include('mail')
    await queue.add({ entity: 'Letter', key: { id: office.letter.id }, method: 'post', args: ['raw'] })
    await until(() => ran.includes('raw'))
    const elsewhere = new Bull('default:brand-new', redisUrl, { prefix: office.prefix })
    await elsewhere.add({ entity: 'Letter', key: { id: office.letter.id }, method: 'post', args: ['elsewhere'] })
    await until(() => ran.includes('elsewhere'))
    await elsewhere.close()
  })
})

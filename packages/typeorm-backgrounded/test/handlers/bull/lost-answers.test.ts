import { expect } from 'chai'
import { Redis } from 'ioredis'
import { backgrounded, backgroundedEvents, createWorker, drain, settled, type Worker } from '../../../src'
import { LossyConnection } from '../../support/lossy-connection'
import { RedisServer, requireRedisServer } from '../../support/redis-server'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

describe('a Redis whose answers are lost at the worst moment', function () {
  this.timeout(60_000)
  let redis: RedisServer
  let direct: Redis
  let lossy: LossyConnection
  const offices: PostOffice[] = []
  const workers: { worker: Worker; finished: Promise<void> }[] = []

  before(async function () {
    await requireRedisServer(this)
  })
  beforeEach(async () => {
    redis = await RedisServer.start()
    direct = new Redis(redis.url)
    lossy = await LossyConnection.to(redis.url)
  })
  afterEach(async () => {
    await Promise.all(workers.splice(0).map(({ worker, finished }) => worker.stop().then(() => finished)))
    await Promise.all(offices.splice(0).map(({ dataSource }) => dataSource.isInitialized && dataSource.destroy()))
    lossy.close()
    direct.disconnect()
    await redis.end()
  })

  const open = async (...options: Parameters<typeof PostOffice.open>) => {
    const office = await PostOffice.open(...options)
    offices.push(office)
    return office
  }
  const work = ({ dataSource }: PostOffice, options: Parameters<typeof createWorker>[1] = {}) => {
    const worker = createWorker(dataSource, options)
    workers.push({ worker, finished: worker.run() })
    return worker
  }
  /** An idle worker, which looks for nothing before it hears of something. */
  const working = async (concurrency: number) => {
    const office = await open({ redis: lossy.url })
    work(office, { concurrency, pollInterval: '1m' })
    await backgrounded(office.letter).post('warm')
    await until(() => ran.length === 1)
    await until(async () => (await office.handler.counts()).running === 0)
    ran.length = 0
    return office
  }
  /** By a way that loses nothing, and to be run once. */
  const sendDirectly = async ({ prefix, letter }: PostOffice, count: number) => {
    const elsewhere = await open({ redis: redis.url, prefix })
    const { manager } = elsewhere.dataSource
    await backgrounded(Array(count).fill(letter) as (typeof letter)[], { manager, attempts: 1 }).post('unheard')
  }
  const key = ({ prefix }: PostOffice, name: string) => `${prefix}:default:default:${name}`

  it('stores a call once whose answer is lost, even if its job has run when the call is sent again', async () => {
    const office = await open({ redis: lossy.url })
    const elsewhere = await open({ redis: redis.url, prefix: office.prefix }, { source: 'default' })
    work(elsewhere)
    const call = (text: string) => backgrounded(office.letter, { manager: office.dataSource.manager }).post(text)
    await call('warm')
    await until(() => ran.length === 1)
    lossy.loseAnswerTo('VICTIM')
    expect((await call('VICTIM')).state).to.equal('enqueued')
    await call('after')
    await until(() => ran.includes('after'))
    expect([lossy.lost, ran]).to.deep.equal([1, ['warm', 'VICTIM', 'after']])
  })

  it('runs a job whose claim got no answer, in the same worker and without using an attempt', async () => {
    const office = await working(1)
    lossy.loseAnswerTo('"finished":')
    await sendDirectly(office, 1)
    await until(async () => lossy.lost === 1 && ran.length > 0 && (await office.handler.counts()).running === 0)
    expect(ran).to.deep.equal(['unheard'])
    expect(Object.values(await office.handler.counts())).to.deep.equal([0, 0, 0, 0, 0])
  })

  it('runs all jobs of a claim that got no answer, and all of the claim that ioredis sends again', async () => {
    const office = await working(10)
    lossy.loseAnswerTo('"finished":')
    await sendDirectly(office, 20)
    await until(async () => lossy.lost === 1 && ran.length >= 20 && (await office.handler.counts()).running === 0)
    expect(Object.values(await office.handler.counts())).to.deep.equal([0, 0, 0, 0, 0])
  })

  it('does not report a lost lease when the answer to an outcome was lost', async () => {
    const office = await open({ redis: lossy.url })
    const events = backgroundedEvents(office.dataSource)
    const emitted: string[] = []
    for (const event of ['completed', 'leaseLost'] as const) events.on(event, () => void emitted.push(event))
    work(office)
    await backgrounded(office.letter).post('first')
    await until(() => emitted.length === 1)
    lossy.loseAnswerTo('"state":"completed"')
    await backgrounded(office.letter).post('second')
    await until(() => lossy.lost === 1 && emitted.length === 2)
    expect(emitted).to.deep.equal(['completed', 'completed'])
  })

  it('runs the job even when the commands after the lost answer fail for a while', async () => {
    const office = await working(10)
    lossy.loseAnswerTo('"finished":')
    await sendDirectly(office, 3)
    await until(() => lossy.lost === 1)
    await direct.call('REPLICAOF', '127.0.0.1', '1')
    const begin = Date.now()
    await until(() => Date.now() - begin > 1_000)
    await direct.call('REPLICAOF', 'NO', 'ONE')
    await until(() => ran.length === 3)
  })

  it('gives the jobs of a living worker to no other, when it accepts no writes for longer than a lease', async () => {
    const office = await open({ redis: redis.url, settings: { lockDuration: 1_500 } })
    const other = await open({ redis: redis.url, prefix: office.prefix, settings: { lockDuration: 1_500 } })
    work(office, { shutdownTimeout: 200 })
    await backgrounded(office.letter, { manager: office.dataSource.manager }).linger()
    await until(() => ran.length === 1)
    work(other)
    for (const outage of [
      [() => direct.config('SET', 'maxmemory', 1), () => direct.config('SET', 'maxmemory', 0)],
      [() => direct.call('REPLICAOF', '127.0.0.1', '1'), () => direct.call('REPLICAOF', 'NO', 'ONE')],
    ] as const) {
      await outage[0]()
      const begin = Date.now()
      await until(() => Date.now() - begin > 3_000)
      await outage[1]()
      await until(() => Date.now() - begin > 6_500)
    }
    expect(ran).to.deep.equal(['linger'])
    expect(await direct.llen(key(office, 'active'))).to.equal(1)
    ran.push('go on')
  })

  it('does not lose a committed call to a queue that cannot be written, and runs it when that is mended', async () => {
    const office = await open({ redis: redis.url }, { outbox: true })
    await direct.set(key(office, 'wait'), 'no list')
    await office.dataSource.transaction((manager) => backgrounded(office.letter, { manager }).post('committed'))
    await settled(office.dataSource)
    expect(await office.dataSource.query('SELECT id FROM backgrounded_outbox')).to.have.length(1)
    expect(await direct.keys(key(office, '*'))).to.deep.equal([key(office, 'wait')])
    await direct.del(key(office, 'wait'))
    await until(async () => {
      await drain(office.dataSource)
      return ran.length > 0
    })
    expect(ran).to.deep.equal(['committed'])
  })

  it('does not let one broken queue stop the others', async () => {
    const office = await open({ redis: redis.url })
    await backgrounded(office.letter, { queue: 'a' }).post('a')
    await backgrounded(office.letter, { queue: 'c' }).post('c')
    await direct.set(`${office.prefix}:default:b:wait`, 'no list')
    await direct.sadd(`${office.prefix}:default:queues`, 'b')
    work(office, { queues: ['b', 'a', 'c'] })
    await until(() => ran.length === 2)
    await backgrounded(office.letter, { queue: 'a' }).post('later')
    await until(() => ran.length === 3)
  })

  it('may refuse its users the channels: jobs are stored, and found by polling', async () => {
    await direct.call('ACL', 'SETUSER', 'quiet', 'on', '>secret', '~*', '+@all', 'resetchannels')
    const office = await open({ redis: redis.url.replace('redis://', 'redis://quiet:secret@') })
    work(office, { pollInterval: 50 })
    await backgrounded(office.letter).post('quiet')
    await until(() => ran.length === 1)
  })

  it('stores the outcome of a method that outlives its worker and its data source', async () => {
    const office = await open({ redis: redis.url })
    await backgrounded(office.letter).linger()
    const worker = createWorker(office.dataSource, { shutdownTimeout: 50 })
    const finished = worker.run()
    await until(() => ran.length === 1)
    expect((await worker.stop()).stillRunning).to.have.length(1)
    await office.dataSource.destroy()
    expect(await direct.llen(key(office, 'active'))).to.equal(1)
    // The worker still hears of queues, and must not mind.
    await direct.publish(`${office.prefix}:default:brand-new:waiting@elsewhere`, 'some-job')
    ran.push('go on')
    await finished
    await until(async () => !(await direct.keys(`${office.prefix}:default:*`)).includes(key(office, 'active')))
    await until(async () => (await direct.keys(`${office.prefix}:default:worker:*`)).length === 0)
  })
})

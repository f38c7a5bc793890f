import { expect } from 'chai'
import { Redis } from 'ioredis'
import { backgrounded, createWorker, settled, type Worker } from '../../../src'
import { LossyConnection } from '../../support/lossy-connection'
import { RedisServer, requireRedisServer } from '../../support/redis-server'
import { until } from '../../support/worker-process'
import { PostOffice, quiet, ran } from './letter'

describe('connections to Redis that have become useless', function () {
  this.timeout(60_000)
  let redis: RedisServer
  let other: RedisServer
  let way: LossyConnection
  let office: PostOffice
  let worker: Worker | undefined
  let finished: Promise<void> | undefined
  const said: string[] = []
  const logger = {
    ...quiet,
    info: (_: object, message?: string) => void said.push(String(message)),
    warn: (fields: object, message?: string) => void said.push(`${message} ${JSON.stringify(fields)}`),
  }
  const givenUp = () => said.filter((each) => each.includes('given up'))

  before(async function () {
    await requireRedisServer(this)
  })
  beforeEach(async () => {
    redis = await RedisServer.start()
    other = await RedisServer.start()
    way = await LossyConnection.to(redis.url)
    said.length = 0
  })
  afterEach(async () => {
    ran.push('go on')
    redis.thaw()
    await worker?.stop()
    await finished
    worker = undefined
    await office.dataSource.destroy()
    way.close()
    await redis.end()
    await other.end()
  })

  const work = async (options: Parameters<typeof createWorker>[1] = {}) => {
    worker = createWorker(office.dataSource, { concurrency: 10, shutdownTimeout: 200, ...options })
    finished = worker.run()
    await worker.ready
  }
  /** The other server gets what this one has, and this one becomes its replica, without closing a connection. */
  const failOver = async () => {
    const [first, second] = [new Redis(redis.url), new Redis(other.url)]
    const port = (url: string) => new URL(url).port
    await second.replicaof('127.0.0.1', port(redis.url))
    await until(async () => (await second.info('replication')).includes('master_link_status:up'))
    await second.replicaof('NO', 'ONE')
    await first.replicaof('127.0.0.1', port(other.url))
    way.leadTo(other.url)
    first.disconnect()
    second.disconnect()
  }
  const rejection = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: { code: string }) => error.code,
    )

  it('are replaced by an idle worker whose Redis has become a read-only replica, which says so once', async () => {
    office = await PostOffice.open({ redis: way.url }, { logger })
    await work({ pollInterval: '1m' })
    await backgrounded(office.letter).post('before')
    await until(() => ran.length === 1)
    await failOver()
    // Nobody calls anything: the worker finds out, and is there when a job comes to the new server from elsewhere.
    await until(() => givenUp().length > 0)
    const elsewhere = await PostOffice.open({ redis: other.url, prefix: office.prefix })
    await backgrounded(elsewhere.letter, { manager: elsewhere.dataSource.manager }).post('after')
    await until(() => ran.includes('after'), 10_000)
    await elsewhere.dataSource.destroy()
    const direct = new Redis(other.url)
    await until(async () => (await direct.keys('*:worker:*')).length > 0)
    direct.disconnect()
    expect(givenUp()).to.have.length(1)
    expect(givenUp()[0]).to.include('read-only replica')
    await until(() => said.some((each) => each.includes('does what it is asked for again')))
  })

  it('are replaced by calls, the outbox, inspection and a worker with a running job', async () => {
    office = await PostOffice.open({ redis: way.url, settings: { lockDuration: 8_000 } }, { outbox: true })
    await work()
    await backgrounded(office.letter).linger()
    await until(() => ran.includes('linger'))
    await failOver()
    await backgrounded(office.letter).post('call')
    await office.dataSource.transaction((manager) => backgrounded(office.letter, { manager }).post('committed'))
    await settled(office.dataSource)
    await until(() => ran.includes('call') && ran.includes('committed'), 10_000)
    await until(async () => (await office.handler.counts()).running === 1)
    ran.push('go on')
    await until(async () => (await office.handler.counts()).running === 0)
    expect(ran.filter((each) => each === 'linger')).to.have.length(1)
  })

  it('are reported once while no other server can be reached, however often they are replaced', async () => {
    office = await PostOffice.open({ redis: way.url }, { logger })
    await work({ pollInterval: 50 })
    const direct = new Redis(redis.url)
    await direct.replicaof('127.0.0.1', '1')
    await until(() => givenUp().length > 0)
    const begin = Date.now()
    await until(() => Date.now() - begin > 3_000)
    await direct.replicaof('NO', 'ONE')
    await backgrounded(office.letter).post('after')
    await until(() => ran.includes('after'), 10_000)
    expect(givenUp()).to.have.length(1)
    direct.disconnect()
  })

  for (const outbox of [false, true]) {
    it(`are replaced by calls when they have fallen silent, ${outbox ? 'with' : 'without'} an outbox`, async () => {
      office = await PostOffice.open({ redis: way.url }, { logger, outbox })
      await backgrounded(office.letter).post('before')
      way.silence()
      const begin = performance.now()
      expect(await rejection(backgrounded(office.letter).post('first'))).to.equal(
        outbox ? undefined : 'STORE_UNAVAILABLE',
      )
      await until(async () => (await rejection(backgrounded(office.letter, { queue: 'b' }).post('then'))) === undefined)
      expect(performance.now() - begin).to.be.below(3_000)
      expect(givenUp()).to.have.length(1)
    })
  }

  it('are replaced by a worker when they have fallen silent, and it keeps its running job', async () => {
    office = await PostOffice.open({ redis: way.url }, { logger })
    await work({ pollInterval: 500 })
    await backgrounded(office.letter, { attempts: 1 }).linger()
    await until(() => ran.includes('linger'))
    way.silence()
    const begin = performance.now()
    const elsewhere = await PostOffice.open({ redis: redis.url, prefix: office.prefix })
    await backgrounded(elsewhere.letter, { manager: elsewhere.dataSource.manager }).post('meanwhile')
    await elsewhere.dataSource.destroy()
    await until(() => ran.includes('meanwhile'), 15_000)
    expect(performance.now() - begin).to.be.below(8_000)
    ran.push('go on')
    await until(async () => (await office.handler.counts()).running === 0)
    expect(await office.handler.counts()).to.include({ failed: 0, waiting: 0 })
    expect(ran.filter((each) => each === 'linger')).to.have.length(1)
  })

  it('are replaced by inspection when they have fallen silent', async () => {
    office = await PostOffice.open({ redis: way.url }, { logger })
    await office.handler.counts()
    way.silence()
    expect(await rejection(office.handler.counts())).to.equal('STORE_UNAVAILABLE')
    await until(async () => (await rejection(office.handler.counts())) === undefined, 5_000)
  })

  it('are replaced if they do not connect again by themselves', async () => {
    const redisOption = () => new Redis(way.url, { retryStrategy: () => null, maxRetriesPerRequest: null })
    office = await PostOffice.open({ redis: redisOption }, { logger })
    await backgrounded(office.letter).post('before')
    await redis.stop()
    expect(await rejection(backgrounded(office.letter).post('down'))).to.equal('STORE_UNAVAILABLE')
    await redis.restart()
    await until(async () => (await rejection(backgrounded(office.letter).post('after'))) === undefined)
  })

  for (const [title, break_] of [
    ['does not answer', () => redis.freeze()],
    ['has gone', () => redis.stop()],
    ['cannot be heard', () => way.silence()],
  ] as const) {
    for (const method of ['wait', 'linger'] as const) {
      const ending = method === 'wait' ? 'ends when it is asked to' : 'does not end'
      it(`do not keep a worker from stopping in time when Redis ${title}, and a method that ${ending}`, async () => {
        office = await PostOffice.open({ redis: way.url }, { logger })
        office.handler.queue('raw')
        await work({ shutdownTimeout: 1_000 })
        await backgrounded(office.letter)[method]()
        await until(() => ran.includes(method))
        await break_()
        const begin = performance.now()
        await worker!.stop({ exiting: true })
        expect(performance.now() - begin, 'the worker').to.be.below(1_700)
        await office.dataSource.destroy()
        expect(performance.now() - begin, 'both').to.be.below(2_000)
        redis.thaw()
        await redis.restart()
        ran.push('go on')
        await office.dataSource.initialize()
      })
    }
  }
})

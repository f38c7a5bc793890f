import { expect } from 'chai'
import { Redis } from 'ioredis'
import { backgrounded, createWorker, type Worker } from '../../../src'
import { orphan } from '../../support/orphans'
import { RedisServer, requireRedisServer } from '../../support/redis-server'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

const LEASE = 2_000

describe('the jobs of dead workers in Redis', function () {
  this.timeout(60_000)
  let redis: RedisServer
  let direct: Redis
  const offices: PostOffice[] = []
  const workers: { worker: Worker; finished: Promise<void> }[] = []

  before(async function () {
    await requireRedisServer(this)
  })
  beforeEach(async () => {
    redis = await RedisServer.start()
    direct = new Redis(redis.url)
  })
  afterEach(async () => {
    redis.thaw()
    ran.push('go on')
    await Promise.all(workers.splice(0).map(({ worker, finished }) => worker.stop().then(() => finished)))
    await Promise.all(offices.splice(0).map(({ dataSource }) => dataSource.destroy()))
    direct.disconnect()
    await redis.end()
  })

  const open = async (prefix?: string, beat = LEASE / 4) => {
    const settings = { lockDuration: LEASE, lockRenewTime: beat }
    const office = await PostOffice.open({ redis: redis.url, settings, prefix })
    offices.push(office)
    return office
  }
  const work = async ({ dataSource }: PostOffice, options: Parameters<typeof createWorker>[1] = {}) => {
    const worker = createWorker(dataSource, { shutdownTimeout: 200, ...options })
    workers.push({ worker, finished: worker.run() })
    await worker.ready
    return worker
  }
  const baseOf = ({ prefix }: PostOffice) => `${prefix}:default:`
  const starts = () => ran.filter((each) => each === 'linger').length

  it('do not include those of living workers, when Redis was frozen for a little less than a lease', async () => {
    // The one with the jobs beats rarely, and so the other is the first to look around when Redis is back.
    const first = await open(undefined, LEASE / 2)
    const second = await open(first.prefix, LEASE / 20)
    await work(first, { concurrency: 20 })
    const { manager } = first.dataSource
    const letters = Array(20).fill(first.letter) as (typeof first.letter)[]
    await backgrounded(letters, { attempts: 1, manager }).linger()
    await until(() => starts() === 20)
    await work(second)
    // Long enough that the second worker has seen a whole lease.
    const begin = Date.now()
    await until(() => Date.now() - begin > 1.5 * LEASE)
    for (const share of [0.8, 0.93, 0.85]) {
      redis.freeze()
      const frozen = Date.now()
      await until(() => Date.now() - frozen > share * LEASE)
      redis.thaw()
      await until(() => Date.now() - frozen > share * LEASE + LEASE)
    }
    expect(starts()).to.equal(20)
    ran.push('go on')
    await until(async () => (await first.handler.counts()).running === 0)
    expect(await first.handler.counts()).to.include({ failed: 0, waiting: 0 })
  })

  it('are taken over even if no worker lives for a lease', async () => {
    const office = await open()
    await backgrounded(office.letter).post('orphan')
    await orphan(direct, baseOf(office))
    const begin = Date.now()
    while (!ran.includes('orphan') && Date.now() - begin < 6 * LEASE) {
      const worker = createWorker(office.dataSource)
      const finished = worker.run()
      const start = Date.now()
      await until(() => Date.now() - start > 0.4 * LEASE)
      await worker.stop()
      await finished
    }
    expect(ran).to.deep.equal(['orphan'])
  })

  it('are taken over by a worker that has just started, if another has been in contact for a lease', async () => {
    const office = await open()
    const other = await open(office.prefix)
    await work(other, { queues: ['another'] })
    const begin = Date.now()
    await until(() => Date.now() - begin > 1.2 * LEASE)
    await backgrounded(office.letter, { manager: office.dataSource.manager }).post('orphan')
    await orphan(direct, baseOf(office))
    await direct.hset(`${baseOf(office)}worker:killed-worker`, { at: 0, lease: LEASE })
    const start = Date.now()
    await work(office)
    await until(() => ran.includes('orphan'))
    expect(Date.now() - start).to.be.below(LEASE)
  })

  it('are not claimed by a worker before its first heartbeat', async () => {
    const office = await open()
    await backgrounded(office.letter).post('early')
    const keys: string[] = []
    const monitor = await direct.monitor()
    monitor.on('monitor', (_: string, [command = '', key = '']: string[], source: string) => {
      if (source.includes('lua') || command === 'eval' || command === 'evalsha') keys.push(`${command} ${key}`)
    })
    await work(office)
    await until(() => ran.length === 1)
    monitor.disconnect()
    const beats = keys.findIndex((each) => /^hset .*:worker:/i.test(each))
    const claims = keys.findIndex((each) => /^rpoplpush .*:wait$/i.test(each))
    expect(beats).to.be.within(0, claims)
  })

  it('run together in half of the slots if two attempts are left, on the next slots that are free', async () => {
    const office = await open()
    await backgrounded(Array(10).fill(office.letter) as (typeof office.letter)[], { attempts: 3 }).linger()
    await orphan(direct, baseOf(office))
    await work(office, { concurrency: 10, pollInterval: '1m' })
    await until(() => starts() === 5)
    // An ordinary job has a slot all the same, and no sixth suspect has.
    await backgrounded(office.letter).post('ordinary')
    await until(() => ran.includes('ordinary'))
    expect(starts()).to.equal(5)
    ran.push('go on')
    await until(async () => starts() === 10 && (await office.handler.counts()).running === 0)
  })

  for (const [title, attempts, deaths] of [
    ['that have one attempt left', 2, 0],
    ['that have seen two deaths', 9, 1],
  ] as const) {
    it(`run alone ${title}, and one after the other`, async () => {
      const office = await open()
      await backgrounded(Array(3).fill(office.letter) as (typeof office.letter)[], { attempts }).linger()
      for (const id of await orphan(direct, baseOf(office)))
        await direct.hset(`${baseOf(office)}default:${id}`, 'deaths', deaths)
      await backgrounded(Array(3).fill(office.letter) as (typeof office.letter)[], { attempts: 5 }).linger()
      await orphan(direct, baseOf(office))
      await work(office, { concurrency: 10, pollInterval: '1m' })
      await until(() => starts() > 0)
      await backgrounded(office.letter).post('ordinary')
      await until(() => ran.includes('ordinary'))
      const running = await direct.lrange(`${baseOf(office)}default:active`, 0, -1)
      const alone = await Promise.all(running.map((id) => direct.hget(`${baseOf(office)}default:${id}`, 'alone')))
      expect(starts(), 'either one that runs alone, or those that may run together').to.equal(
        alone.includes('1') ? 1 : 3,
      )
      ran.push('go on')
      await until(async () => starts() === 6 && (await office.handler.counts()).running === 0)
    })
  }

  it('are never run again if they had one attempt, even if the worker that takes them over does not know their method', async () => {
    const office = await open()
    const { id } = await backgrounded(office.letter, { attempts: 1 }).post('once')
    await orphan(direct, baseOf(office))
    const key = `${baseOf(office)}default:${id}`
    const data = (await direct.hget(key, 'data'))!
    await direct.hset(key, 'data', data.replace('Letter', 'Unknown'))
    await work(office)
    await until(async () => (await direct.hget(key, 'failedReason'))?.includes('Unknown') === true)
    await direct.hset(key, 'data', data)
    await direct.zadd(`${baseOf(office)}default:delayed`, 0, id)
    await until(async () => (await office.handler.counts()).failed === 1)
    expect(ran).to.deep.equal([])
  })
})

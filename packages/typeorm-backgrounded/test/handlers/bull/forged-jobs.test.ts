import { expect } from 'chai'
import type { Redis } from 'ioredis'
import { backgrounded, createWorker, type Worker } from '../../../src'
import { requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

const ODD = [
  '',
  'x',
  '1e400',
  '-1e400',
  'nan',
  '-5',
  '0.5',
  '9223372036854775807',
  '{"toString":null}',
  '\u0000',
  '1'.repeat(400),
]
const FIELDS = [
  'attemptsMade', 'delay', 'timestamp', 'lease', 'settled', 'suspect', 'alone', 'deaths', 'died', 'releasedSince',
  'discarded', 'name', 'opts', 'priority', 'processedOn', 'progress', 'stacktrace', 'failedReason',
] // prettier-ignore
const METHODS = ['post', 'fail', 'snooze', 'discard', 'nothingLikeThat']

describe('a forged job in Redis', function () {
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
    redis = office.handler.queue().client as unknown as Redis
  })
  afterEach(async () => {
    await worker?.stop()
    await finished
    worker = undefined
    await office.close()
  })

  const work = () => {
    worker = createWorker(office.dataSource, { pollInterval: 20, shutdownTimeout: 200 })
    finished = worker.run()
  }
  const key = (name: string, queue = 'default') => `${office.prefix}:default:${queue}:${name}`
  const call = (method: string) => JSON.stringify({ entity: 'Letter', key: { id: office.letter.id }, method, args: [] })
  const lists = async (id: string) => {
    const found: string[] = []
    for (const list of ['wait', 'paused', 'active', 'suspects', 'lone-suspects'])
      if ((await redis.lrange(key(list), 0, -1)).includes(id)) found.push(list)
    for (const set of ['delayed', 'completed', 'failed']) if (await redis.zscore(key(set), id)) found.push(set)
    return found
  }
  const aNeighbourRuns = async () => {
    const text = `neighbour ${Math.random()}`
    await backgrounded(office.letter).post(text)
    await until(() => ran.includes(text))
  }

  it('ends or waits in one list, whatever is in its fields', async () => {
    const ids: string[] = []
    for (const method of METHODS) {
      for (const field of FIELDS) {
        for (const odd of ODD) {
          const id = `${method}/${field}/${ODD.indexOf(odd)}`
          ids.push(id)
          await redis.hset(key(id), { name: 'forged', data: call(method), timestamp: '1', delay: '0', [field]: odd })
          await redis.lpush(key('wait'), id)
        }
      }
    }
    await redis.sadd(`${office.prefix}:default:queues`, 'default')
    work()
    await until(async () => (await redis.llen(key('wait'))) + (await redis.llen(key('active'))) === 0, 40_000)
    await aNeighbourRuns()
    await worker!.stop()
    for (const id of ids) {
      const found = await lists(id)
      const isGone = id.startsWith('post/') && (await redis.exists(key(id))) === 0
      expect(found, id).to.have.length(isGone ? 0 : 1)
    }
    await office.handler.counts()
    expect(await office.handler.find({ limit: 10_000 })).to.be.an('array')
  })

  it('does no harm with an entity that cannot become a text, or is nested deeply', async () => {
    const deep = '['.repeat(50_000) + ']'.repeat(50_000)
    const forged = [
      '{"entity":{"toString":null},"method":"post","args":[]}',
      `{"entity":${deep},"key":{"id":1},"method":"post","args":[]}`,
      `{"entity":"Letter","key":${deep},"method":"post","args":[]}`,
      `{"entity":"Letter","key":{"id":1},"method":${deep},"args":${deep}}`,
      `{"entity":"Letter","key":{"id":1},"method":"post","args":[],"meta":${deep},"attempts":${deep}}`,
      '{"entity":"Letter","__proto__":{"method":"post"}}',
      '{broken',
      deep,
    ]
    for (const [index, data] of forged.entries()) {
      await redis.hset(key(`forged-${index}`), { data, opts: '{broken', name: 'forged' })
      await redis.lpush(key('wait'), `forged-${index}`)
    }
    work()
    await aNeighbourRuns()
    await until(async () => (await redis.llen(key('wait'))) + (await redis.llen(key('active'))) === 0)
    expect((await office.handler.counts()).failed).to.equal(forged.length)
    expect(await office.handler.find({ state: 'failed' })).to.have.length(forged.length)
  })

  it('is dropped if it is not a job at all', async () => {
    await redis.set(key('text'), 'x')
    await redis.zadd(key('set'), 1, 'x')
    for (const list of ['wait', 'active', 'suspects', 'lone-suspects'])
      await redis.lpush(key(list), 'text', 'set', 'missing', '', 'wait', 'a:b', 'x'.repeat(10_000))
    for (const score of ['-inf', '0', '1']) await redis.zadd(key('delayed'), score, `missing${score}`)
    await redis.zadd(key('delayed'), 2, 'text')
    await redis.zadd(key('delayed'), '+inf', 'never')
    work()
    await aNeighbourRuns()
    await until(
      async () => (await redis.exists(key('wait'), key('active'), key('suspects'), key('lone-suspects'))) === 0,
    )
    expect(await redis.zrange(key('delayed'), 0, -1)).to.deep.equal(['never'])
    expect(await redis.get(key('text'))).to.equal('x')
  })

  it('does not block the jobs behind it, even if there are thousands', async () => {
    for (let round = 0; round < 5; round++)
      await redis.lpush(key('wait'), ...[...Array(1_000).keys()].map((index) => `missing-${round}-${index}`))
    work()
    await aNeighbourRuns()
  })

  const BROKEN = [
    'wait', 'paused', 'active', 'delayed', 'completed', 'failed', 'discarded', 'suspects', 'lone-suspects', 'priority', 'id',
  ] // prettier-ignore
  for (const name of BROKEN) {
    it(`does not make jobs get lost in a queue whose "${name}" is a key of another type, and other queues go on`, async () => {
      const broken = 'broken'
      const methods = ['post', 'fail', 'snooze', 'discard']
      for (const method of methods) {
        await redis.hset(key(method, broken), { data: call(method), name: method })
        await redis.lpush(key('wait', broken), method)
      }
      await redis.del(key(name, broken))
      await redis.hset(key(name, broken), 'another', 'kind')
      await redis.sadd(`${office.prefix}:default:queues`, broken, 'default')
      work()
      await aNeighbourRuns()
      await aNeighbourRuns()
      await redis.del(key(name, broken))
      if (name === 'wait') await redis.lpush(key('wait', broken), ...methods)
      await aNeighbourRuns()
      await until(async () => {
        const waiting = await redis.llen(key('wait', broken))
        return waiting + (await redis.llen(key('active', broken))) === 0
      })
      expect(await redis.exists(key('post', broken))).to.equal(0)
      expect(await redis.zscore(key('failed', broken), 'fail')).to.be.a('string')
      expect(await redis.zscore(key('failed', broken), 'discard')).to.be.a('string')
      expect(await redis.zscore(key('delayed', broken), 'snooze')).to.be.a('string')
    })
  }

  for (const name of ['contact', 'pushed']) {
    it(`does not stop workers if "${name}" is a key of another type`, async () => {
      work()
      await worker!.ready
      await backgrounded(office.letter).post('before')
      await redis.del(`${office.prefix}:default:${name}`)
      await redis.set(`${office.prefix}:default:${name}`, 'text')
      await redis.hset(key('forged'), { data: call('post'), name: 'post' })
      await redis.lpush(key('wait'), 'forged')
      await until(async () => (await redis.exists(key('forged'))) === 0)
    })
  }
})

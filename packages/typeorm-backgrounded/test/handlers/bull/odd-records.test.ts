import { expect } from 'chai'
import { Redis } from 'ioredis'
import { backgrounded, createWorker, type Worker } from '../../../src'
import { redisUrl, requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

/** What anybody may have written into Redis. */
const good = { entity: 'Letter', key: { id: 1 }, method: 'post', args: ['odd'] }
const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
const RECORDS: Readonly<Record<string, Record<string, string>>> = {
  'an entity whose toString is null': { data: '{"entity":{"toString":null},"method":"post"}' },
  'a method whose toString is null': { data: '{"entity":"Letter","method":{"toString":null}}' },
  'an entity that is an array, 50,000 deep': { data: `{"entity":${deep}}` },
  'a key that is 50,000 deep': { data: `{"entity":"Letter","method":"post","key":{"id":${deep}}}` },
  'a version whose toString is null': { data: '{"v":{"toString":null},"entity":"Letter","method":"post"}' },
  'attempts whose toString is null': { data: JSON.stringify({ ...good, attempts: { toString: null } }) },
  'data that is not JSON': { data: '\0\ud800{' },
  'data that is null': { data: 'null' },
  'no data': { name: 'nothing' },
  'a releasedSince that is a word, of an unknown method': {
    data: JSON.stringify({ ...good, method: 'unknown' }),
    releasedSince: 'x',
  },
  'a releasedSince beyond all numbers, of an unknown method': {
    data: JSON.stringify({ ...good, method: 'unknown' }),
    releasedSince: '1e400',
  },
  'a releasedSince in the far future, of an unknown method': {
    data: JSON.stringify({ ...good, method: 'unknown' }),
    releasedSince: '99999999999999999999',
  },
  'attemptsMade that is a word': { data: JSON.stringify(good), attemptsMade: 'x' },
  'attemptsMade below zero': { data: JSON.stringify(good), attemptsMade: '-5' },
  'a timestamp that is a word': { data: JSON.stringify(good), timestamp: 'x', delay: 'y', opts: '{', priority: 'z' },
  'a suspect that is a word': { data: JSON.stringify(good), suspect: 'x', died: 'y', settled: 'z' },
}

describe('odd records in Redis, which anybody may have written', () => {
  let office: PostOffice
  let redis: Redis
  let worker: Worker
  let finished: Promise<void>
  let queue: string

  before(async function () {
    await requireRedis(this)
  })
  beforeEach(async () => {
    office = await PostOffice.open()
    redis = new Redis(redisUrl)
    queue = `${office.prefix}:default:default:`
    worker = createWorker(office.dataSource, { pollInterval: 20 })
    finished = worker.run()
    await worker.ready
  })
  afterEach(async () => {
    await worker.stop()
    await finished
    redis.disconnect()
    await office.close()
  })

  /** Where a job is that has neither run nor ended. */
  async function placesOf(id: string): Promise<string[]> {
    const places: string[] = []
    for (const list of ['wait', 'active', 'suspects'])
      if ((await redis.lrange(queue + list, 0, -1)).includes(id)) places.push(list)
    for (const set of ['delayed', 'failed', 'completed'])
      if ((await redis.zscore(queue + set, id).catch(() => null)) !== null) places.push(set)
    return places
  }

  async function neighboursRun(): Promise<void> {
    for (const name of ['1', '2', '3']) await backgrounded(office.letter).post(name)
    await until(() => ['1', '2', '3'].every((name) => ran.includes(name)))
  }

  for (const [title, record] of Object.entries(RECORDS)) {
    it(`do not stop workers, and are not lost: ${title}`, async () => {
      await redis.sadd(`${office.prefix}:default:queues`, 'default')
      await redis.hset(`${queue}odd`, record)
      await redis.lpush(`${queue}wait`, 'odd')
      await neighboursRun()
      await until(async () => {
        const places = await placesOf('odd')
        return places.length === 0 ? (await redis.exists(`${queue}odd`)) === 0 : !places.includes('active')
      })
      expect(await placesOf('odd'), 'places').to.have.length.at.most(1)
    })
  }

  for (const [key, method, place] of [
    ['failed', 'fail', 'the failed ones'],
    ['delayed', 'snooze', 'the delayed ones'],
    ['discarded', 'discard', 'the discarded ones'],
  ] as const) {
    it(`do not delay other jobs if ${place} are of another type, and the job is not lost`, async () => {
      await redis.set(queue + key, 'not what Bull keeps there')
      const { id } = await backgrounded(office.letter)[method]()
      await neighboursRun()
      await until(() => worker.counts.completed >= 3)
      expect(await placesOf(id)).to.deep.equal(['active'])
      await redis.del(queue + key)
      await until(async () => !(await placesOf(id)).includes('active'))
      expect(await placesOf(id)).to.have.length(1)
    })
  }
})

import { expect } from 'chai'
import { Redis } from 'ioredis'
import { Arrivals } from '../../../src/handlers/bull/arrivals'
import { LossyConnection } from '../../support/lossy-connection'
import { redisUrl, requireRedis, uniquePrefix } from '../../support/redis'
import { until } from '../../support/worker-process'
import { quiet } from './letter'

describe('the subscription of an idle worker', () => {
  let way: LossyConnection
  let arrivals: Arrivals
  const heard: string[][] = []

  before(async function () {
    await requireRedis(this)
  })
  beforeEach(async () => {
    way = await LossyConnection.to(redisUrl)
    heard.length = 0
  })
  afterEach(() => {
    arrivals.close()
    way.close()
  })

  const listen = async (base: string) => {
    const hear = (queues: readonly string[]) => {
      heard.push([...queues])
      return Promise.resolve(false)
    }
    arrivals = new Arrivals(() => new Redis(way.url), base, hear, quiet)
    await arrivals.next(new AbortController().signal)
  }

  it('is found dead if Redis does not answer on it, and alive if it does', async () => {
    await listen(`${uniquePrefix()}:default:`)
    let silent = 0
    await arrivals.check(1_000, () => silent++)
    expect(silent).to.equal(0)
    way.silence()
    await arrivals.check(100, () => silent++)
    expect(silent).to.equal(1)
  })

  it('reports the queues of a burst together, and no name that is too long', async () => {
    const base = `${uniquePrefix()}:default:`
    await listen(base)
    const redis = new Redis(redisUrl)
    const publish = redis.pipeline()
    for (const name of ['a', 'b', 'a', 'x'.repeat(1_000), '']) publish.publish(`${base}${name}:waiting@token`, 'id')
    publish.publish(`${base}ours:waiting@backgrounded`, 'id')
    await publish.exec()
    await redis.publish(`${base}last:delayed`, '5')
    await until(() => heard.flat().includes('last'))
    redis.disconnect()
    expect([...new Set(heard.flat())].sort()).to.deep.equal(['a', 'b', 'last'])
  })
})

import { expect } from 'chai'
import { Cluster, Redis } from 'ioredis'
import { inspect } from 'node:util'
import { backgrounded, createWorker } from '../../../src'
import { storeError } from '../../../src/handlers/bull/commands'
import { RedisServer, requireRedisServer } from '../../support/redis-server'
import { until } from '../../support/worker-process'
import { PostOffice, quiet, ran } from './letter'

describe('what BullHandler reports about Redis', function () {
  this.timeout(30_000)
  let redis: RedisServer
  let direct: Redis
  let office: PostOffice | undefined
  const said: { fields: object; message: string }[] = []
  const say = (fields: object, message = '') => void said.push({ fields, message })
  const logger = { ...quiet, debug: say, info: say, warn: say, error: say }

  before(async function () {
    await requireRedisServer(this)
  })
  beforeEach(async () => {
    redis = await RedisServer.start()
    direct = new Redis(redis.url)
    said.length = 0
  })
  afterEach(async () => {
    await office?.dataSource.destroy()
    office = undefined
    direct.disconnect()
    await redis.end()
  })

  const shown = (value: unknown) => inspect(value, { depth: 20, showHidden: true })
  const rejectionOf = (call: Promise<unknown>): Promise<Error> =>
    call.then(
      () => {
        throw new Error('it was taken')
      },
      (error: Error) => error,
    )
  const workFor = async (condition: () => boolean) => {
    const worker = createWorker(office!.dataSource, { shutdownTimeout: 100 })
    const finished = worker.run().catch(() => {})
    await until(condition)
    await worker.stop()
    await finished
  }

  it('shows no password when Redis refuses it, or asks for one', async () => {
    await direct.config('SET', 'requirepass', 'the-right-one')
    for (const url of ['redis://:top-secret@', 'redis://me:top-secret@', 'redis://top-secret@']) {
      office = await PostOffice.open({ redis: redis.url.replace('redis://', url) }, { logger })
      const error = await rejectionOf(backgrounded(office.letter).post())
      expect(error).to.have.property('code', 'STORE_UNAVAILABLE')
      expect(shown(error)).to.not.include('top-secret')
      const counted = await rejectionOf(office.handler.counts())
      expect(shown(counted)).to.not.include('top-secret')
      await workFor(() => said.length > 1)
      expect(shown(said)).to.not.include('top-secret')
      await office.dataSource.destroy()
      office = undefined
    }
    expect(said.some(({ message }) => message.includes('broken'))).to.equal(true)
  })

  it('shows no arguments of a job when Redis refuses the job', async () => {
    office = await PostOffice.open({ redis: redis.url }, { logger })
    await direct.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval')
    const error = await rejectionOf(backgrounded(office.letter).post('my-letter'))
    expect(shown(error)).to.not.include('my-letter')
    await direct.call('ACL', 'SETUSER', 'default', '+@all')
    await direct.set(`${office.prefix}:default:queues`, 'text')
    const refused = await rejectionOf(backgrounded(office.letter).post('my-letter'))
    expect(shown(refused)).to.not.include('my-letter')
    expect(shown(refused)).to.include('WRONGTYPE')
    expect(shown(said)).to.not.include('my-letter')
  })

  it('warns once per worker of an eviction policy that lets Redis drop jobs', async () => {
    office = await PostOffice.open({ redis: redis.url }, { logger })
    const named = () => said.filter(({ message }) => message.includes('maxmemory-policy'))
    await backgrounded(office.letter).post()
    await workFor(() => ran.length === 1)
    expect(named()).to.deep.equal([])
    await direct.config('SET', 'maxmemory-policy', 'volatile-lru')
    await workFor(() => named().length === 1)
    expect(named()[0]!.message).to.match(/volatile-lru to noeviction/)
  })

  it('does not mention that policy if the server does not let it be read', async () => {
    office = await PostOffice.open({ redis: redis.url }, { logger })
    await direct.config('SET', 'maxmemory-policy', 'volatile-lru')
    await direct.call('ACL', 'SETUSER', 'default', '-info', '-config')
    await backgrounded(office.letter).post()
    await workFor(() => ran.length === 1)
    expect(said.filter(({ message }) => /polic|INFO|NOPERM/i.test(message + shown(said)))).to.deep.equal([])
  })

  it('names the hash tag that the prefix lacks, for a Redis Cluster', async () => {
    office = await PostOffice.open({
      redis: () => new Cluster([{ host: '127.0.0.1', port: Number(new URL(redis.url).port) }], { lazyConnect: true }),
    })
    const error = await rejectionOf(backgrounded(office.letter).post())
    expect(error).to.include({ code: 'INVALID_OPTION' })
    expect(error.message).to.include("prefix: '{shop}'")
    for (const sentence of [
      'ERR Script attempted to access a non local key in a cluster node script: 5a5c, on @user_script:4.',
      "CROSSSLOT Keys in request don't hash to the same slot",
    ])
      expect(storeError(new Error(sentence)).message).to.include("prefix: '{shop}'")
  })

  it('names the hash tag that the prefix lacks, for a connection to one node of a Redis Cluster', async () => {
    const node = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no')
    const client = new Redis(node.url)
    // One slot belongs to nobody else, but not to this node either.
    const elsewhere = await client.cluster('KEYSLOT', 'shop:default:pushed')
    const slots = Array.from({ length: 16_384 }, (_, slot) => slot).filter((slot) => slot !== elsewhere)
    await client.call('CLUSTER', 'ADDSLOTS', ...slots)
    await until(async () => (await client.cluster('INFO')).includes('cluster_state:ok'))
    client.disconnect()
    office = await PostOffice.open({ redis: node.url, prefix: 'shop' })
    const rejection = await rejectionOf(backgrounded(office.letter).post())
    expect(rejection.message).to.include("prefix: '{shop}'")
    expect((rejection.cause as Error).message).to.match(/non local key/)
    await office.dataSource.destroy()
    office = await PostOffice.open({ redis: node.url, prefix: '{shop}' })
    await backgrounded(office.letter).post('tagged')
    await workFor(() => ran.includes('tagged'))
    await office.dataSource.destroy()
    office = undefined
    await node.end()
  })
})

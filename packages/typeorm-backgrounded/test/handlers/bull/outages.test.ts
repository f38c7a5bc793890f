import { expect } from 'chai'
import { backgrounded, createWorker, drain } from '../../../src'
import { RedisServer, requireRedisServer } from '../../support/redis-server'
import { until } from '../../support/worker-process'
import { PostOffice, ran } from './letter'

/** Without the outbox, which would take the calls. */
describe('a Redis that fails', function () {
  this.timeout(60_000)
  let redis: RedisServer
  let office: PostOffice

  before(async function () {
    await requireRedisServer(this)
  })
  beforeEach(async () => {
    redis = await RedisServer.start()
    office = await PostOffice.open({ redis: redis.url })
  })
  afterEach(async () => {
    redis.thaw()
    await office.dataSource.destroy()
    await redis.end()
  })

  /** The code of the rejection, and how long it took. */
  async function rejection(text: string): Promise<[code: string | undefined, ms: number]> {
    const begin = performance.now()
    const code = await backgrounded(office.letter)
      .post(text)
      .then(
        () => undefined,
        (error: { code: string }) => error.code,
      )
    return [code, performance.now() - begin]
  }

  it('rejects a call within a second when it is down, and the call does not turn up when it is back', async () => {
    await redis.stop()
    for (const call of ['cold', 'again']) {
      const [code, ms] = await rejection(call)
      expect(code).to.equal('STORE_UNAVAILABLE')
      expect(ms).to.be.below(1_000)
    }
    await redis.restart()
    await until(async () => (await rejection('alive'))[0] === undefined)
    await drain(office.dataSource)
    expect(ran).to.deep.equal(['alive'])
  })

  it('rejects a call within a second when it does not answer, and the call does not turn up when it goes on', async () => {
    await backgrounded(office.letter).post('warm')
    redis.freeze()
    const answers = await Promise.all(['one', 'two', 'three'].map(rejection))
    for (const [code, ms] of answers) {
      expect(code).to.equal('STORE_UNAVAILABLE')
      expect(ms).to.be.below(1_100)
    }
    redis.thaw()
    await until(async () => (await rejection('alive'))[0] === undefined)
    await drain(office.dataSource)
    expect([...ran].sort()).to.deep.equal(['alive', 'warm'])
  })

  it('stores a call that came just before it was back', async () => {
    await backgrounded(office.letter).post('before')
    await redis.stop()
    const call = backgrounded(office.letter).post('meanwhile')
    await redis.restart()
    await call
    await drain(office.dataSource)
    expect(ran).to.deep.equal(['before', 'meanwhile'])
  })

  it('is not taken for silent when the event loop of this process was blocked', async () => {
    await backgrounded(office.letter).post('before')
    const call = backgrounded(office.letter).post('meanwhile')
    await nextImmediate(() => busy(1_500))
    await call
    for (let turn = 0; turn < 5; turn++) await nextImmediate()
    await backgrounded(office.letter).post('after')
    await drain(office.dataSource)
    expect(ran).to.deep.equal(['before', 'meanwhile', 'after'])
  })

  it('is survived by a worker, and no job runs twice: stopped, killed, frozen, or its scripts flushed', async () => {
    const worker = createWorker(office.dataSource)
    const finished = worker.run()
    await worker.ready
    let sent = 0
    const send = async () => {
      await until(async () => (await rejection(String(sent)))[0] === undefined)
      sent++
      await until(() => ran.length >= sent)
    }
    await send()
    await redis.stop()
    await redis.restart()
    await send()
    await redis.kill()
    await redis.restart()
    await send()
    redis.freeze()
    expect((await rejection('lost'))[0]).to.equal('STORE_UNAVAILABLE')
    redis.thaw()
    await send()
    await office.handler.queue().client.script('FLUSH')
    await send()
    await office.handler
      .queue()
      .client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no')
      .catch(() => {})
    await send()
    await worker.stop()
    await finished
    expect(ran).to.deep.equal(['0', '1', '2', '3', '4', '5'])
  })

  it('does not keep a worker from stopping in time', async () => {
    await backgrounded(office.letter).wait()
    const worker = createWorker(office.dataSource, { shutdownTimeout: 400 })
    const finished = worker.run()
    await until(() => ran.length === 1)
    await redis.stop()
    const begin = performance.now()
    await worker.stop()
    expect(performance.now() - begin).to.be.below(2_000)
    await redis.restart()
    await finished
  })
})

function nextImmediate(work = () => {}): Promise<void> {
  return new Promise((resolve) =>
    setImmediate(() => {
      work()
      resolve()
    }),
  )
}

/** Nothing else of this process has a turn for so many ms. */
function busy(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

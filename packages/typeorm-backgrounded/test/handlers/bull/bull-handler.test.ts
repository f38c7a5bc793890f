import { expect } from 'chai'
import { Redis } from 'ioredis'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { backgrounded, createWorker, drain, InvalidOptionError } from '../../../src'
import { BullHandler, type BullHandlerOptions } from '../../../src/handlers/bull'
import { redisUrl, requireRedis } from '../../support/redis'
import { until } from '../../support/worker-process'
import { Letter, PostOffice, ran } from './letter'

describe('BullHandler', function () {
  let office: PostOffice
  before(async function () {
    await requireRedis(this)
  })
  afterEach(async () => {
    await office?.close()
  })

  describe('refuses', () => {
    const bad: [title: string, options: unknown, says: RegExp][] = [
      ['a URL that is none', { redis: 'localhost:6379' }, /redis is "localhost:6379": give a URL like redis:/],
      ['to show a password', { redis: 'http://me:secret@host' }, /^(?!.*secret).*give a URL/],
      ['a database that is not a number', { redis: 'redis://host/jobs' }, /"\/jobs".* not a database number/],
      ['something else for Redis', { redis: 5 }, /redis is 5/],
      ['a variable that is not set', { redis: undefined }, /redis is undefined: is the environment variable set/],
      ['an empty URL', { redis: '' }, /redis is an empty text/],
      ['a URL without a host', { redis: 'redis://' }, /give a URL/],
      ['a list of nodes', { redis: [{ host: 'a' }] }, /redis is an array: .* a function that makes connections/],
      ['a host that is not set', { redis: { host: undefined } }, /redis.host is not set/],
      ['a misspelt option for Redis', { redis: { hots: 'redis' } }, /redis has no option "hots"/],
      ['a misspelt parameter of a URL', { redis: 'redis://host?pasword=x' }, /redis has no option "pasword"/],
      ['the options of another package', { redis: { socket: { host: 'a' } } }, /options of another package/],
      ['a prefix that is null', { prefix: null }, /prefix is null/],
      ['a prefix that is a number', { prefix: 5 }, /prefix is 5/],
      ['a prefix that is a list', { prefix: ['a'] }, /prefix is \[/],
      ['a host that is null', { redis: { host: null } }, /redis.host is not set/],
      ['a host that is an object', { redis: { host: {} } }, /redis.host is an object: give a text/],
      ['an empty list of sentinels', { redis: { sentinels: [], name: 'm' } }, /redis.sentinels is an empty list/],
      ['a database that is a text', { redis: { db: 'x' } }, /redis.db is a string: give the number/],
      ['a database below 0', { redis: { db: -1 } }, /redis.db is -1/],
      ['an unknown family', { redis: { family: 'x' } }, /redis.family is a string: give 4 or 6/],
      ['a list of URLs, without showing it', ['redis://me:secret@host'], /^(?!.*secret).*was given an array/],
      ['options that are not plain', Promise.resolve({}), /was given a promise/],
      ['a port that is none', { redis: { host: 'a', port: NaN } }, /redis.port is NaN/],
      ['an object of another kind', { redis: new Map([['host', 'a']]) }, /object without options/],
      ['an unusable escape', { redis: 'redis://me:100%secret@host' }, /^(?!.*secret).*"%" that begins no escape/],
      [
        'a prefix for ioredis in an instance',
        { redis: new Redis({ lazyConnect: true, keyPrefix: 'x' }) },
        /own "prefix"/,
      ],
      ["ioredis's own prefix", { redis: { keyPrefix: 'x' } }, /own "prefix"/],
      ['a prefix with a colon', { prefix: 'a:b' }, /prefix is "a:b"/],
      ['an unknown option', { url: 'redis://x' }, /no option "url"; the options are redis, prefix/],
      ['a lease of nothing', { settings: { lockDuration: 0 } }, /lockDuration is 0/],
      ['a bound that is none', { keepFailed: { count: -1 } }, /keepFailed.count is -1/],
      ['a time that is none', { timeout: 'soon' }, /timeout is 'soon'/],
    ]
    for (const [title, options, says] of bad) {
      it(title, () => {
        expect(() => new BullHandler(options as BullHandlerOptions))
          .to.throw(says)
          .with.property('code', 'INVALID_OPTION')
      })
    }

    for (const url of [
      'redis://me:sec/ret@host:6379',
      'redis://me:12/secret@host',
      'redis://me:1?secret@host',
      'redis://me:1#secret@host',
      'redis://me:secret@host:notaport',
      'redis//me:secret@host',
      'redis:/me:secret@host',
      'me:secret@host:6379',
      ':secret@host',
      'http://me:secret@host',
      'redis://:secret:host',
      'redis://me:secret@ho st',
      'redis://me:secret@host/jobs',
      'redis://me:%secret@host',
      'redis://host?password=secret&pasword=x',
      'secret',
    ]) {
      it(`a URL like ${url} without showing its password`, () => {
        const constructed = () => new BullHandler({ redis: url })
        // A single word may be the name of a host.
        if (url === 'secret') expect(constructed).to.throw(InvalidOptionError)
        else
          expect(constructed)
            .to.throw(InvalidOptionError)
            .with.property('message')
            .not.match(/secret|sec|ret@/)
      })
    }

    it('a URL instead of options, without showing it', () => {
      const url = 'redis://me:secret@host' as unknown as BullHandlerOptions
      expect(() => new BullHandler(url))
        .to.throw(InvalidOptionError)
        .with.property('message')
        .not.match(/secret/)
    })

    it('a function that does not make a connection', async () => {
      office = await PostOffice.open({ redis: (() => Promise.resolve()) as never })
      const error = await backgrounded(office.letter).post().catch((each: Error) => each) // prettier-ignore
      expect(error)
        .to.be.instanceOf(InvalidOptionError)
        .with.property('message')
        .match(/made no connection of ioredis/)
    })

    it('a priority, at the call and at the start', async () => {
      office = await PostOffice.open()
      const call = backgrounded(office.letter, { priority: 5 }).post()
      expect(await call.catch((error: { code: string }) => error.code)).to.equal('UNSUPPORTED_OPTION')
    })

    it('to be asked for a queue before its data source is initialised', () => {
      expect(() => new BullHandler().queue('mail')).to.throw(/initialize\(\) first/)
    })
  })

  it('takes ioredis options, a function, an object with a function, a URL object, and an instance', async () => {
    const { hostname, port } = new URL(redisUrl)
    for (const redis of [
      { host: hostname, port: Number(port || 6379) },
      () => new Redis(redisUrl, { maxRetriesPerRequest: null, enableReadyCheck: false }),
      { createClient: () => new Redis(redisUrl, { maxRetriesPerRequest: null, enableReadyCheck: false }) },
      new URL(redisUrl),
      new Redis(redisUrl, { lazyConnect: true }),
    ]) {
      office = await PostOffice.open({ redis })
      await backgrounded(office.letter).post('x')
      expect((await drain(office.dataSource)).completed).to.equal(1)
      await office.close()
    }
  })

  it('connects when the first job is sent, and lets its process end after destroy()', async () => {
    const fixture = join(__dirname, 'fixtures/producer.js')
    const { stdout } = await promisify(execFile)(process.execPath, [fixture], { timeout: 20_000 })
    expect(stdout.split('\n')).to.deep.equal(['idle 0', 'enqueued', 'destroyed', ''])
  })

  it('runs the next job whose worker died as soon as one has ended, whatever the poll interval', async () => {
    office = await PostOffice.open()
    const { dataSource, handler, letter, prefix } = office
    const receipts = await backgrounded([letter, letter, letter]).post('x')
    const redis = handler.queue('default').client
    for (const { id } of receipts) await redis.hset(`${prefix}:default:default:${id}`, 'suspect', '1')
    const worker = createWorker(dataSource, { pollInterval: 60_000 })
    const finished = worker.run()
    await until(() => ran.length === 3)
    await worker.stop()
    await finished
  })

  it('stores only what it needs and what Bull shows', async () => {
    office = await PostOffice.open()
    const { id } = await backgrounded(office.letter, { queue: 'mail', attempts: 3 }).post('hello')
    const stored = await office.handler.queue('mail').client.hgetall(`${office.prefix}:default:mail:${id}`)
    expect(Object.keys(stored).sort()).to.deep.equal(['data', 'delay', 'name', 'timestamp'])
    expect(JSON.parse(stored.data!)).to.deep.equal({
      entity: 'Letter',
      key: { id: office.letter.id },
      method: 'post',
      args: ['hello'],
      attempts: 3,
    })
    const job = await office.handler.queue('mail').getJob(id)
    expect([job?.name, job?.id, await job?.getState()]).to.deep.equal(['Letter.post', id, 'waiting'])
  })

  it('reports a duplicate, and stores nothing twice', async () => {
    office = await PostOffice.open()
    const { handler, letter } = office
    const job = {
      v: 1,
      id: '018f-known',
      source: 'default',
      entity: 'Letter',
      key: { id: letter.id },
      method: 'post',
      args: ['x'],
      queue: 'default',
      priority: 0,
      enqueuedAt: '',
      runAt: '',
      meta: {},
    } as const
    const jobs = [{ ...job, args: ['x'] }]
    expect(await handler.enqueue(jobs)).to.deep.equal([{ state: 'enqueued' }])
    expect(await handler.enqueue(jobs)).to.deep.equal([{ state: 'duplicate' }])
    await drain(office.dataSource)
    expect(ran).to.deep.equal(['x'])
  })

  it('takes thousands of jobs in one call, in order', async () => {
    office = await PostOffice.open()
    const receipts = await backgrounded(Array(3_000).fill(office.letter) as Letter[]).post()
    const ids = await office.handler.queue().client.lrange(`${office.prefix}:default:default:wait`, 0, -1)
    expect(ids.reverse()).to.deep.equal(receipts.map(({ id }) => id))
  })

  it('measures a delay by the clock of Redis', async () => {
    office = await PostOffice.open()
    const { id } = await backgrounded(office.letter, { delay: '1h' }).post()
    const { client } = office.handler.queue()
    const score = Number(await client.zscore(`${office.prefix}:default:default:delayed`, id)) / 4096
    const [seconds] = await client.time()
    expect(score - Number(seconds) * 1000).to.be.within(3_590_000, 3_601_000)
  })

  it('keeps failed and discarded jobs with their reason, within their bounds', async () => {
    office = await PostOffice.open({ keepFailed: { count: 3 }, settings: { stalledInterval: 50 } })
    for (let index = 0; index < 5; index++) await backgrounded(office.letter).fail()
    await backgrounded(office.letter).discard()
    const worker = createWorker(office.dataSource)
    const finished = worker.run()
    await until(async () => {
      const { waiting, running, failed, discarded } = await office.handler.counts()
      return waiting + running === 0 && failed + discarded === 3
    })
    await worker.stop()
    await finished
    const [job] = await office.handler.queue().getFailed(0, 0)
    expect([job?.failedReason, job?.attemptsMade]).to.deep.equal(['no stamp\nand no letterbox', 2])
    expect(job?.stacktrace?.[0]).to.match(/^Error: no stamp\nand no letterbox\n\s+at Letter\.fail/)
    const keys = await office.handler.queue().client.keys(`${office.prefix}:default:default:????????-*`)
    expect(keys).to.have.length(3)
  })

  it('keeps completed jobs for keepCompleted, and otherwise nothing of them', async () => {
    office = await PostOffice.open()
    await backgrounded(office.letter).post()
    await drain(office.dataSource)
    const { client } = office.handler.queue()
    const keys = await client.keys(`${office.prefix}:*`)
    // What tells a call that is sent again goes with the next one, or within a second.
    const bookkeeping = ['contact', 'pushed', 'queues'].map((name) => `${office.prefix}:default:${name}`)
    expect(keys.filter((key) => !bookkeeping.includes(key))).to.deep.equal([])
    await office.close()

    office = await PostOffice.open({ settings: { stalledInterval: 20 } }, { keepCompleted: 300 })
    const { id } = await backgrounded(office.letter).post()
    await drain(office.dataSource)
    const job = await office.handler.queue().getJob(id)
    expect(await job?.getState()).to.equal('completed')
    const worker = createWorker(office.dataSource)
    const finished = worker.run()
    await until(async () => (await office.handler.counts()).completed === 0)
    await worker.stop()
    await finished
    expect(await office.handler.queue().getJob(id)).to.equal(null)
  })

  it('serves all queues in turn if none is named', async () => {
    office = await PostOffice.open()
    for (let index = 0; index < 30; index++) {
      for (const queue of ['a', 'b', 'c']) await backgrounded(office.letter, { queue }).post(queue)
    }
    await drain(office.dataSource, { concurrency: 1 })
    expect(ran).to.have.length(90)
    for (const queue of ['a', 'b', 'c']) expect(ran.slice(0, 30).filter((each) => each === queue)).to.have.length(10)
  })

  it('stores how far a job has come', async () => {
    office = await PostOffice.open({}, { keepCompleted: '1h' })
    const { id } = await backgrounded(office.letter).tell()
    await drain(office.dataSource)
    expect((await office.handler.queue().getJob(id))?.progress()).to.deep.equal({ written: 0.5 })
  })

  it('stops in time when Redis has gone, and keeps what still runs', async () => {
    office = await PostOffice.open()
    await backgrounded(office.letter).wait()
    const worker = createWorker(office.dataSource, { shutdownTimeout: '2s' })
    const finished = worker.run()
    await until(() => ran.length === 1)
    expect(await worker.stop()).to.deep.equal({ stillRunning: [] })
    await finished
  })
})

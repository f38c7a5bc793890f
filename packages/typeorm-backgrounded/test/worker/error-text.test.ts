import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, DiscardJob, drain, SnoozeJob, withBackgrounded } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { BackgroundedJob } from '../../src/handlers/database'
import { inFile } from '../support/data-sources'
import { oddErrors } from '../support/odd-errors'
import { until } from '../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
let thrown: unknown

@Entity()
class Fuse {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded({ attempts: 1 }) blow(): void {
    throw thrown
  }
  @Backgrounded({ attempts: 2, backoff: '1h' }) smoulder(): void {
    throw thrown
  }
  @Backgrounded() hold(): void {}
}

describe('the error that is kept with a job', () => {
  let dataSource: DataSource
  let fuse: Fuse
  before(async () => {
    dataSource = await withBackgrounded(inFile([Fuse]), { handler: new DatabaseHandler(), logger: silent }).initialize()
    fuse = await dataSource.manager.save(new Fuse())
  })
  beforeEach(() => dataSource.manager.clear(BackgroundedJob))
  after(() => dataSource.destroy())

  async function kept(error: unknown, method: 'blow' | 'smoulder' = 'blow'): Promise<BackgroundedJob> {
    thrown = error
    const { id } = await backgrounded(fuse)[method]()
    await drain(dataSource)
    return dataSource.manager.findOneByOrFail(BackgroundedJob, { id })
  }
  const textOf = async (error: unknown) => (await kept(error)).error as string

  it('has its name, its message and its stack', async () => {
    const text = await textOf(new RangeError('too hot'))
    expect(text).to.match(/^RangeError: too hot\n {4}at /)
    expect(text).to.include('error-text.test')
  })

  it('is kept after an attempt that will be retried', async () => {
    const row = await kept(new Error('not yet'), 'smoulder')
    expect(row).to.include({ state: 'waiting', attempt: 1 })
    expect(row.error).to.match(/^Error: not yet/)
  })

  it('has its causes, up to three', async () => {
    const causes = [1, 2, 3, 4, 5].reduceRight<Error | undefined>(
      (cause, level) => new Error(`level ${level}`, { cause }),
      undefined,
    )
    const text = await textOf(causes)
    for (const level of [1, 2, 3, 4]) expect(text).to.include(`level ${level}`)
    expect(text.match(/Caused by: /g)).to.have.length(3)
  })

  it('is capped at 10,000 characters', async () => {
    for (const text of [await textOf(new Error('x'.repeat(50_000))), await textOf('y'.repeat(10_001))]) {
      expect(text).to.have.length(10_000)
      expect(text.endsWith('…')).to.equal(true)
    }
    expect(await textOf('z'.repeat(10_000))).to.equal('z'.repeat(10_000))
  })

  it('has neither NUL nor lone surrogates, even if the cap cuts a pair', async () => {
    const text = await textOf(new Error('a\0b\ud800c\udfffd\u{1F600}'))
    expect(text.slice(0, 20)).to.include('a\uFFFDb\uFFFDc\uFFFDd\u{1F600}')
    const cut = await textOf(`${'x'.repeat(9_998)}\u{1F600}${'y'.repeat(10)}`)
    expect(cut.isWellFormed()).to.equal(true)
    expect(cut.length).to.be.at.most(10_000)
  })

  it('of a discarded or snoozed job is its reason, as clean and as short', async () => {
    const dirty = `no\0\ud800${'x'.repeat(20_000)}`
    for (const error of [new DiscardJob(dirty), new SnoozeJob('1h', dirty)]) {
      const row = await kept(error)
      expect(row.error?.startsWith('no\uFFFD\uFFFDxxx')).to.equal(true)
      expect(row.error).to.have.length(10_000)
    }
  })

  it('holds no password', async () => {
    expect(await textOf(new Error('cannot reach redis://me:hunter2@cache'))).to.not.include('hunter2')
    expect(await textOf({ password: 'hunter2' })).to.not.include('hunter2')
  })

  it('shows the fields of a plain object', async () => {
    expect(await textOf({ status: 404, body: { reason: 'gone' } }))
      .to.include('404')
      .and.include('gone')
  })

  for (const [title, error] of oddErrors()) {
    it(`is a text whatever was thrown, and the next job runs: ${title}`, async () => {
      thrown = error
      const { id } = await backgrounded(fuse).blow()
      await backgrounded(fuse).hold()
      const counts = await drain(dataSource)
      expect(counts).to.deep.equal({ completed: 1, retried: 0, failed: 1, discarded: 0, released: 0 })
      const row = await dataSource.manager.findOneByOrFail(BackgroundedJob, { id })
      expect(row.state).to.equal('failed')
      expect(row.error).to.be.a('string').with.length.greaterThan(0)
    })
  }
})

describe('a worker whose job threw what cannot be described', () => {
  it('goes on with the others', async () => {
    const dataSource = inFile([Fuse])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    const fuse = await dataSource.manager.save(new Fuse())
    const worker = createWorker(dataSource, { pollInterval: 10 })
    const finished = worker.run()
    const odd: { toJSON?: () => unknown } = { toJSON: () => undefined }
    thrown = odd
    await backgrounded(fuse).blow()
    await backgrounded(fuse).hold()
    try {
      await until(() => worker.counts.completed === 1 && worker.counts.failed === 1, 2_000)
    } finally {
      delete odd.toJSON // a worker that stumbles over it would stumble for ever
      await worker.stop()
      await finished
      await dataSource.destroy()
    }
  })
})

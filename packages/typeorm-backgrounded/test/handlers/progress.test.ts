import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  createWorker,
  currentJob,
  withBackgrounded,
  type CurrentJob,
} from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { BackgroundedJob, DatabaseHandler } from '../../src/handlers/database'
import { inFile } from '../support/data-sources'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'
import { until } from '../support/worker-process'

const warnings: string[] = []
const warn = ({ err }: { err?: Error }) => void warnings.push(String(err?.message))
const logger = { debug() {}, info() {}, warn, error() {} }
let reported = 0
let leaked: CurrentJob | undefined
let open = () => {}
let neighbours = 0
const reports: (() => void)[] = []
const ends: (() => void)[] = []

@Entity()
class Upload {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() async send(): Promise<void> {
    for (reported = 0; reported < 150_000; reported++) {
      currentJob().progress(reported)
      if (reported % 10 === 0) await undefined
    }
    currentJob().progress('the last')
    await new Promise<void>((resolve) => (open = resolve))
  }
  @Backgrounded({ attempts: 2, backoff: '1h' }) fail(): void {
    currentJob().progress({ at: 'the end 👋' })
    throw new Error('broken')
  }
  @Backgrounded() async report(): Promise<void> {
    const job = currentJob()
    reports.push(() => job.progress?.('mine'))
    await new Promise<void>((resolve) => ends.push(resolve))
  }
  @Backgrounded() leak(): void {
    leaked = currentJob()
  }
  @Backgrounded() wait(): void {
    neighbours++
  }
  @Backgrounded({ attempts: 1 }) refuse(): void {
    const cyclic: { self?: object } = {}
    cyclic.self = cyclic
    currentJob().progress(cyclic)
  }
}

interface ProgressStore {
  readonly name: string
  require(context: Mocha.Context): Promise<void>
  open(): Promise<{
    dataSource: DataSource
    progressOf: (id: string) => Promise<string | null | undefined>
    /** Another worker has claimed the job since. */
    steal: (id: string) => Promise<unknown>
    close: () => Promise<void>
  }>
}

const inDatabase = (store: TestStore): ProgressStore => ({
  name: store.name,
  require: (context) => store.require(context),
  async open() {
    const { dataSource, drop } = await store.create([Upload])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger }).initialize()
    const progressOf = async (id: string) => (await dataSource.manager.findOneBy(BackgroundedJob, { id }))?.progress
    const steal = (id: string) =>
      dataSource.manager.update(BackgroundedJob, { id }, { worker: randomUUID(), lease: 1_000 })
    return { dataSource, progressOf, steal, close: drop }
  },
})

const bull: ProgressStore = {
  name: 'Bull',
  require: requireRedis,
  async open() {
    const prefix = uniquePrefix()
    const dataSource = withBackgrounded(inFile([Upload]), {
      handler: new BullHandler({ redis: redisUrl, prefix }),
      logger,
    })
    await dataSource.initialize()
    const redis = new Redis(redisUrl)
    const close = async () => {
      if (dataSource.isInitialized) await dataSource.destroy()
      redis.disconnect()
      await removeKeys(prefix)
    }
    const key = (id: string) => `${prefix}:default:default:${id}`
    return {
      dataSource,
      progressOf: (id) => redis.hget(key(id), 'progress'),
      steal: (id) => redis.hset(key(id), 'lease', `${randomUUID()}/1`),
      close,
    }
  },
}

for (const store of [inDatabase(sqliteFile), inDatabase(postgres), inDatabase(mariaDb), bull]) {
  describe(`the progress of a job, on ${store.name}`, () => {
    let opened: Awaited<ReturnType<ProgressStore['open']>>
    let upload: Upload

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      neighbours = 0
      opened = await store.open()
      upload = await opened.dataSource.manager.save(new Upload())
    })
    afterEach(() => opened.close())

    async function working(work: () => Promise<void>): Promise<void> {
      const worker = createWorker(opened.dataSource, { concurrency: 2, pollInterval: 20 })
      const finished = worker.run()
      try {
        await work()
      } finally {
        open()
        await worker.stop()
        await finished
      }
    }

    it('is its latest value, however often it is reported, and does not delay other jobs', () =>
      working(async () => {
        const { id } = await backgrounded(upload).send()
        await until(() => reported === 150_000)
        const start = Date.now()
        await backgrounded(upload).wait()
        await until(() => neighbours === 1)
        expect(Date.now() - start).to.be.lessThan(3_000)
        await until(async () => (await opened.progressOf(id)) === '"the last"')
      }))

    it('is kept with a job that fails right after it', () =>
      working(async () => {
        const { id } = await backgrounded(upload).fail()
        await until(async () => Boolean(await opened.progressOf(id)))
        expect(JSON.parse((await opened.progressOf(id)) as string)).to.deep.equal({ at: 'the end 👋' })
      }))

    it('is not stored by a worker that has lost its lease', () =>
      working(async () => {
        reports.length = ends.length = 0
        const [stolen, own] = [await backgrounded(upload).report(), await backgrounded(upload).report()]
        await until(() => reports.length === 2)
        await opened.steal(stolen.id)
        for (const report of reports) report()
        await until(async () => (await opened.progressOf(own.id)) === '"mine"')
        const progress = await opened.progressOf(stolen.id)
        for (const end of ends) end()
        expect(progress).to.be.oneOf([null, undefined, '0']) // Bull gives every job a progress of 0
      }))

    it('causes a warning if it cannot be JSON, and its job completes', async () => {
      let completed = 0
      backgroundedEvents(opened.dataSource).on('completed', () => completed++)
      warnings.length = 0
      await working(async () => {
        await backgrounded(upload).refuse()
        await until(() => completed === 1)
      })
      expect(warnings.join()).to.match(/progress\(\) cannot store this value/)
    })

    it('is ignored once the job has ended and the data source is closed, without a new connection', async () => {
      await working(async () => {
        await backgrounded(upload).leak()
        await until(() => leaked !== undefined)
      })
      await opened.dataSource.destroy()
      const before = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
      leaked?.progress(1)
      await new Promise((resolve) => setTimeout(resolve, 30))
      const after = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
      expect(after).to.be.at.most(before)
      leaked = undefined
    })
  })
}

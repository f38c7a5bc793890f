import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  createWorker,
  currentJob,
  withBackgrounded,
  type BackgroundedOptions,
  type JobReceipt,
  type Worker,
} from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile } from '../support/data-sources'
import { oddValues } from '../support/odd-values'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'
import { until } from '../support/worker-process'
import { InMemoryHandler } from './in-memory-handler'

/** Where the code of an application can put a value. */
const PLACES = {
  'a method throws': 'throws',
  'a promise of a method rejects with': 'rejects',
  'a method returns': 'returns',
  'a promise of a method resolves to': 'resolves',
  'a backoff function throws': 'failsWithBackoffThatThrows',
  'a backoff function returns': 'failsWithBackoffThatReturns',
  'a method logs': 'logs',
  'a method stores as its progress': 'progresses',
  'a listener throws': 'works',
  'a listener rejects with': 'works',
  'the logger throws': 'works',
} as const
type Place = keyof typeof PLACES

let value: () => unknown = () => undefined
const thrown = () => {
  throw value()
}
const worked: string[] = []

@Entity()
class Machine {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded() works(): void {}
  @Backgrounded() works_beside(name: string): void {
    worked.push(name)
  }
  @Backgrounded({ attempts: 2, backoff: 0 }) throws(): void {
    throw value()
  }
  @Backgrounded({ attempts: 2, backoff: 0 }) rejects(): Promise<void> {
    return Promise.reject(value())
  }
  @Backgrounded({ attempts: 2, backoff: 0 }) returns(): unknown {
    return value()
  }
  @Backgrounded({ attempts: 2, backoff: 0 }) async resolves(): Promise<unknown> {
    await undefined
    return value()
  }
  @Backgrounded({ attempts: 2, backoff: thrown }) failsWithBackoffThatThrows(): void {
    throw new Error('broken')
  }
  @Backgrounded({ attempts: 2, backoff: () => value() as number }) failsWithBackoffThatReturns(): void {
    throw new Error('broken')
  }
  @Backgrounded({ attempts: 1 }) logs(): void {
    currentJob().log.warn({ err: value(), value: value() }, 'odd')
  }
  @Backgrounded({ attempts: 1 }) progresses(): void {
    currentJob().progress(value())
  }
}

const ENDS = ['completed', 'retried', 'failed', 'discarded', 'released'] as const

interface OddStore {
  readonly name: string
  require(context: Mocha.Context): Promise<void>
  open(options: Pick<BackgroundedOptions, 'logger'>): Promise<{
    dataSource: DataSource
    /** How many jobs are claimed, where the store can tell. */
    running?: () => Promise<number>
    close: () => Promise<void>
  }>
}

const inDatabase = (store: TestStore): OddStore => ({
  name: store.name,
  require: (context) => store.require(context),
  async open(options) {
    const { dataSource, drop } = await store.create([Machine])
    const handler = new DatabaseHandler()
    await withBackgrounded(dataSource, { handler, ...options }).initialize()
    return { dataSource, running: async () => (await handler.counts()).running, close: drop }
  },
})

const bull: OddStore = {
  name: 'Bull',
  require: requireRedis,
  async open(options) {
    const prefix = uniquePrefix()
    const handler = new BullHandler({ redis: redisUrl, prefix })
    const dataSource = withBackgrounded(inFile([Machine]), { handler, ...options })
    await dataSource.initialize()
    const close = async () => {
      await dataSource.destroy()
      await removeKeys(prefix)
    }
    return { dataSource, running: async () => (await handler.counts()).running, close }
  },
}

const ofOnesOwn = (name: string, handler: () => FakeHandler | InMemoryHandler): OddStore => ({
  name,
  require: () => Promise.resolve(),
  async open(options) {
    const dataSource = withBackgrounded(inFile([Machine]), { handler: handler(), outbox: false, ...options })
    await dataSource.initialize()
    return { dataSource, close: () => dataSource.destroy() }
  },
})

const STORES = [
  inDatabase(sqliteFile),
  inDatabase(postgres),
  inDatabase(mariaDb),
  bull,
  ofOnesOwn('a store of consumeStore', () => new InMemoryHandler()),
  ofOnesOwn('FakeHandler', () => new FakeHandler()),
]

for (const store of STORES) {
  describe(`on ${store.name}, no value stops a worker or delays other jobs`, () => {
    let opened: Awaited<ReturnType<OddStore['open']>>
    let machine: Machine
    let worker: Worker
    let finished: Promise<void>
    /** Set while the logger is to throw. */
    let isLoggerOdd = false
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown) => unhandled.push(reason)
    const log = () => {
      if (isLoggerOdd) thrown()
    }

    before(async function () {
      await store.require(this)
      opened = await store.open({ logger: { debug: log, info: log, warn: log, error: log } })
      machine = await opened.dataSource.manager.save(new Machine())
      worker = createWorker(opened.dataSource, { concurrency: 4, pollInterval: 10 })
      finished = worker.run()
      process.on('unhandledRejection', onUnhandled)
    })

    after(async () => {
      await worker?.stop()
      await finished
      await opened?.close()
      process.off('unhandledRejection', onUnhandled)
    })

    afterEach(() => {
      value = () => undefined
      isLoggerOdd = false
    })

    async function runBeside(place: Place, title: string): Promise<void> {
      const events = backgroundedEvents(opened.dataSource)
      value = oddValues[title] as () => unknown
      const listener =
        place === 'a listener throws' ? thrown : place === 'a listener rejects with' ? async () => thrown() : undefined
      if (listener) for (const name of ['started', ...ENDS] as const) events.on(name, listener)
      isLoggerOdd = place === 'the logger throws'
      const { warn, error } = console
      if (isLoggerOdd) console.warn = console.error = () => {} // what the logger does not take is printed
      // What is released or put off has its turn later on.
      const ended = new Set<string>()
      const onEnd = ({ job }: { job: { id: string } }) => void ended.add(job.id)
      for (const name of ENDS) events.on(name, onEnd)
      try {
        const receipts = await Promise.all([
          backgrounded(machine).works_beside('before'),
          (backgrounded(machine) as unknown as Record<string, () => Promise<JobReceipt>>)[PLACES[place]]?.(),
          backgrounded(machine).works_beside('after'),
        ])
        await until(
          () => receipts.every((receipt) => ended.has(receipt?.id as string)),
          10_000,
          () => `${title}: ${ended.size} ended, neighbours: ${worked.join()}`,
        )
      } finally {
        if (listener) for (const name of ['started', ...ENDS] as const) events.off(name, listener)
        for (const name of ENDS) events.off(name, onEnd)
        isLoggerOdd = false
        Object.assign(console, { warn, error })
      }
      expect(worked.splice(0).sort(), title).to.deep.equal(['after', 'before'])
    }

    for (const place of Object.keys(PLACES) as Place[]) {
      it(`when ${place} it`, async function () {
        this.timeout(120_000)
        for (const title of Object.keys(oddValues)) await runBeside(place, title)
        value = () => undefined
        if (opened.running) {
          const { running } = opened
          await until(async () => (await running()) === 0, 5_000)
        }
        expect(unhandled.splice(0)).to.deep.equal([])
      })
    }
  })
}

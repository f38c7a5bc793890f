import { expect } from 'chai'
import { runInNewContext } from 'node:vm'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  BackgroundedEntity,
  createWorker,
  drain,
  NullHandler,
  SynchronousHandler,
  withBackgrounded,
  type BackgroundedOptions,
  type CallOptions,
} from '../src'
import { DatabaseHandler } from '../src/handlers/database'
import { assertEnqueued, assertNotEnqueued, FakeHandler, handlerConformance } from '../src/testing'
import { inMemory } from './support/data-sources'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded({ queue: 'mail' }) send(): void {}
}

const descriptor = Object.getOwnPropertyDescriptor(Letter.prototype, 'send') as PropertyDescriptor
const nothingElse: unknown[] = [null, 5, 'text', true, [], ['a'], Symbol('odd'), () => {}]

/** A program may think that these hold options, and none would be seen. */
const notPlain: unknown[] = [
  Promise.resolve({}),
  new Map([['lease', '5s']]),
  new Date(),
  new (class {
    get lease(): string {
      return '5s'
    }
  })(),
  Object.create({ lease: '5s' }),
  runInNewContext('new Map()'),
]

describe('options', () => {
  let dataSource: DataSource
  let letter: Letter
  before(async () => {
    dataSource = await withBackgrounded(inMemory([Letter]), { handler: new FakeHandler(), logger: silent }).initialize()
    letter = await dataSource.manager.save(new Letter())
  })
  after(() => dataSource.destroy())

  /** Everything that takes an object of options, and the names that it knows. */
  const takers: Record<string, { take: (options: never) => unknown; known: RegExp; names?: string[] }> = {
    DatabaseHandler: {
      take: (options) => new DatabaseHandler(options),
      known: /the options are .*\blease\b.*\blisten\b/,
    },
    SynchronousHandler: { take: (options) => new SynchronousHandler(options), known: /the options are ignoreDelay/ },
    NullHandler: { take: (options) => new NullHandler(options), known: /it takes no options/ },
    createWorker: {
      take: (options) => createWorker(dataSource, options),
      known: /the options are queues, concurrency/,
    },
    'run()': { take: (options) => createWorker(dataSource).run(options), known: /the options are signals/ },
    drain: {
      take: (options) => drain(dataSource, options),
      known: /the options are queues, concurrency, throwOnFailure/,
    },
    'backgrounded()': {
      take: (options) => backgrounded(letter, options).send(),
      known: /the options are delay, runAt/,
    },
    'backgrounded([])': {
      take: (options) => backgrounded([letter], options).send(),
      known: /the options are delay, runAt/,
    },
    '@Backgrounded on a method': {
      take: (options) => Backgrounded(options)(Letter.prototype, 'send', descriptor),
      known: /the options are queue, priority/,
    },
    '@BackgroundedEntity': { take: (options) => BackgroundedEntity(options), known: /the options are name/ },
    '@AfterCommitBackgrounded': {
      take: (options) => AfterCommitBackgrounded(options)(Letter.prototype, 'send', descriptor as never),
      known: /the options are queue, priority/,
    },
    defaults: {
      take: (defaults) => withBackgrounded(inMemory([]), { handler: new NullHandler(), defaults }),
      known: /the options are queue, priority/,
    },
    assertEnqueued: { take: (options) => assertEnqueued(Letter, 'send', options), known: /the options are key, args/ },
    assertNotEnqueued: {
      take: (options) => assertNotEnqueued(Letter, 'send', options),
      known: /the options are key, args/,
    },
    handlerConformance: { take: (options) => handlerConformance(options), known: /the options are describe, it/ },
  }
  for (const [title, { take, known }] of Object.entries(takers)) {
    it(`of ${title} are refused if one is unknown, with the names of all options`, async () => {
      const error = await refusal(() => take({ leese: '5s' } as never))
      expect(error.message)
        .to.match(/"leese"/)
        .and.match(known)
    })

    it(`of ${title} are refused if they are not a plain object`, async () => {
      for (const options of [...nothingElse, ...notPlain]) {
        // Text is what @Backgrounded takes for the name of a method.
        if (title.startsWith('@Backgrounded on') && typeof options === 'string') continue
        await refusal(() => take(options as never))
      }
    })
  }

  it('may be an object of another realm, or have no prototype', () => {
    new DatabaseHandler(runInNewContext('({ lease: 5_000 })') as object)
    new DatabaseHandler(Object.assign(Object.create(null) as object, { lease: 5_000 }))
  })

  it('are refused if they cannot be read', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    await refusal(() => new DatabaseHandler(proxy))
  })

  it('of withBackgrounded are refused if one is unknown, or has a wrong type', async () => {
    const attach = (options: unknown) => withBackgrounded(inMemory([]), options as BackgroundedOptions)
    for (const options of [undefined, ...nothingElse, {}]) await refusal(() => attach(options))
    expect((await refusal(() => attach({ handler: new NullHandler(), soruce: 'x' }))).message).to.match(
      /"soruce"; the options are handler, .*source/,
    )
    const odd = [null, 5, 'a b', true, Symbol('odd'), Object.create(null) as unknown, []]
    for (const name of ['source', 'logger', 'resolve', 'configure', 'defaults', 'keepCompleted', 'outbox']) {
      for (const value of odd) {
        if (name === 'outbox' && value === true) continue
        if (name === 'keepCompleted' && value === 5) continue
        if (name === 'defaults' && typeof value === 'object' && value !== null && !Array.isArray(value)) continue
        const { message } = await refusal(() => attach({ handler: new NullHandler(), [name]: value }))
        expect(message).to.include(name)
      }
    }
  })

  it('of withBackgrounded are refused without a data source', async () => {
    const options = { handler: new NullHandler() }
    for (const none of [undefined, null, {}, Promise.resolve(inMemory([])), { type: 'postgres' }]) {
      expect((await refusal(() => withBackgrounded(none as DataSource, options))).message).to.match(
        /needs a DataSource/,
      )
    }
  })

  it('of handlers and workers are refused if they have a wrong type', async () => {
    const odd = [null, 'soon', {}, [], Symbol('odd'), Object.create(null) as unknown, () => 1, NaN, -1]
    for (const value of odd) {
      for (const name of ['lease', 'busyTimeout', 'listen']) {
        expect((await refusal(() => new DatabaseHandler({ [name]: value }))).message).to.include(name)
      }
      for (const name of ['queues', 'concurrency', 'pollInterval', 'shutdownTimeout']) {
        expect((await refusal(() => createWorker(dataSource, { [name]: value }))).message).to.include(name)
      }
      for (const name of ['queues', 'concurrency', 'throwOnFailure']) {
        expect((await refusal(() => drain(dataSource, { [name]: value }))).message).to.include(name)
      }
      expect((await refusal(() => createWorker(dataSource).run({ signals: value as boolean }))).message).to.include(
        'signals',
      )
      expect((await refusal(() => new SynchronousHandler({ ignoreDelay: value as boolean }))).message).to.include(
        'ignoreDelay',
      )
      if (typeof value !== 'function') await refusal(() => new FakeHandler(value as never))
    }
    await refusal(() => createWorker(dataSource, { queues: 'mail' as never }))
    await refusal(() => createWorker(dataSource, { queues: [] }))
    expect((await refusal(() => createWorker(dataSource, { pollInterval: 0 }))).message).to.include('1 or more')
    await refusal(() => createWorker(dataSource, { queues: ['mail', 5 as never] }))
  })

  it('of methods and calls are refused if they have a wrong type', async () => {
    const odd = [null, {}, Symbol('odd'), Object.create(null) as unknown, NaN, 10n]
    for (const value of odd) {
      for (const name of ['queue', 'priority', 'attempts', 'backoff', 'onMissing', 'withDeleted', 'name']) {
        const mark = () => Backgrounded({ [name]: value })(Letter.prototype, 'send', descriptor)
        expect((await refusal(mark)).message).to.include(name)
      }
      for (const name of ['delay', 'runAt', 'queue', 'priority', 'attempts', 'manager']) {
        if (name === 'manager' && value === null) continue
        const call = () => backgrounded(letter, { [name]: value }).send()
        expect((await refusal(call)).message).to.include(name)
      }
    }
    for (const relations of [null, 5, 'tags', [5], true]) {
      await refusal(() => Backgrounded({ relations: relations as never })(Letter.prototype, 'send', descriptor))
    }
    for (const given of [
      ['send', null],
      ['send', 5],
      ['send', {}, 'x'],
      ['send', {}, {}],
      ['send', ['x']],
    ]) {
      await refusal(() => (Backgrounded as (...given: unknown[]) => (target: unknown) => void)(...given)(Letter))
    }
    for (const options of [{ when: true }, { when: null }, { on: [] }, { on: null }, { on: 5 }]) {
      await refusal(() => AfterCommitBackgrounded(options as never)(Letter.prototype, 'send', descriptor as never))
    }
  })

  it('take a manager, but not an object that only has one', async () => {
    const runner = dataSource.createQueryRunner()
    for (const manager of [dataSource, runner, dataSource.getRepository(Letter), 'x', 5, false, '']) {
      const { message } = await refusal(() => backgrounded(letter, { manager } as unknown as CallOptions).send())
      expect(message).to.match(/manager is not an EntityManager: give .*queryRunner\.manager/)
    }
    await runner.release()
    await backgrounded(letter, { manager: dataSource.manager }).send()
  })
})

describe('a worker with a list of queues', () => {
  it('warns about queues that no method uses, and lists the used ones', async () => {
    const lines: [object, string][] = []
    const logger = { ...silent, warn: (fields: object, message: string) => void lines.push([fields, message]) }
    const dataSource = withBackgrounded(inMemory([Letter]), { handler: new FakeHandler(), logger })
    await dataSource.initialize()
    createWorker(dataSource, { queues: ['mail'] })
    expect(lines).to.deep.equal([])
    createWorker(dataSource, { queues: ['mail', 'mial'] })
    expect(lines).to.deep.equal([
      [
        { unknown: ['mial'], known: ['mail'] },
        'no method uses these queues, so they get jobs only from calls that name them',
      ],
    ])
    await dataSource.destroy()
  })
})

async function refusal(work: () => unknown): Promise<Error & { code: string }> {
  try {
    await work()
  } catch (error) {
    expect(error, String((error as Error).stack))
      .to.have.property('code')
      .that.is.oneOf(['INVALID_OPTION', 'INVALID_DECLARATION'])
    return error as Error & { code: string }
  }
  throw new Error('it was not refused')
}

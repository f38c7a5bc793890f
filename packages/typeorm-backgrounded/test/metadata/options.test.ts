import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  BackgroundedEntity,
  drain,
  NullHandler,
  SynchronousHandler,
  withBackgrounded,
  type BackgroundedOptions,
  type CallOptions,
  type Handler,
  type MethodOptions,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
type Class = new () => object

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) label!: string
  @Backgrounded() plain(): void {}
  @Backgrounded({ queue: 'own', priority: 3, attempts: 2 }) chosen(): void {}
  @Backgrounded({ attempts: 1 }) fails(): void {
    throw new Error('no')
  }
}

async function open(options: Partial<BackgroundedOptions> = {}, ...classes: Class[]): Promise<DataSource> {
  const entities = classes.length > 0 ? classes : [Parcel]
  return withBackgrounded(inMemory(entities), { handler: new FakeHandler(), logger: silent, ...options }).initialize()
}

async function refusal(options: Partial<BackgroundedOptions>, ...classes: Class[]): Promise<CodedError> {
  const dataSource = await open(options, ...classes).catch((error: unknown) => error as CodedError)
  if (dataSource instanceof Error) return dataSource
  await dataSource.destroy()
  throw new Error('the start-up was not refused')
}

interface CodedError extends Error {
  readonly code: string
}

function thrownBy(work: () => unknown): CodedError {
  try {
    work()
  } catch (error) {
    return error as CodedError
  }
  throw new Error('nothing was thrown')
}

const mark = (options: object) => () => {
  class Marked {
    method(): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Marked.prototype, 'method') as PropertyDescriptor
  Backgrounded(options)(Marked.prototype, 'method', descriptor)
}

const markClass = (options: object) => () => {
  class Marked {
    method(): void {}
  }
  Backgrounded('method', options)(Marked)
}

describe('the options of a method', () => {
  const bad: [options: object, code: string, says: RegExp][] = [
    [{ queue: '' }, 'INVALID_OPTION', /queue is ""/],
    [{ queue: 'a b' }, 'INVALID_OPTION', /queue/],
    [{ queue: 'a,b' }, 'INVALID_OPTION', /queue/],
    [{ queue: 'a\0b' }, 'INVALID_OPTION', /without spaces, control characters/],
    [{ queue: '*' }, 'INVALID_OPTION', /queue/],
    [{ queue: 5 }, 'INVALID_OPTION', /queue/],
    [{ queue: 'x'.repeat(101) }, 'INVALID_OPTION', /queue/],
    [{ priority: 11 }, 'INVALID_OPTION', /priority is 11: .* -10/],
    [{ priority: -11 }, 'INVALID_OPTION', /priority/],
    [{ priority: 0.5 }, 'INVALID_OPTION', /priority/],
    [{ priority: '1' }, 'INVALID_OPTION', /priority/],
    [{ priority: NaN }, 'INVALID_OPTION', /priority/],
    [{ attempts: 0 }, 'INVALID_OPTION', /attempts is 0: give a whole number of 1 or more/],
    [{ attempts: Infinity }, 'INVALID_OPTION', /attempts/],
    [
      { attempts: 2 ** 31 },
      'INVALID_OPTION',
      /attempts is 2147483648: give a whole number of 1 or more, up to 2147483647/,
    ],
    [{ attempts: '3' }, 'INVALID_OPTION', /attempts/],
    [{ backoff: 'soon' }, 'INVALID_OPTION', /backoff is 'soon'/],
    [{ backoff: [] }, 'INVALID_OPTION', /backoff is an empty list/],
    [{ backoff: -1 }, 'INVALID_OPTION', /backoff/],
    [{ onMissing: 'ignore' }, 'INVALID_OPTION', /onMissing is ignore: give 'discard', 'fail' or 'retry'/],
    [{ withDeleted: 'yes' }, 'INVALID_OPTION', /withDeleted/],
    [{ relations: 'tags' }, 'INVALID_OPTION', /relations/],
    [{ name: '' }, 'INVALID_OPTION', /name/],
    [{ name: 'toString' }, 'INVALID_OPTION', /name is "toString"/],
    [{ name: '__proto__' }, 'INVALID_OPTION', /name/],
    [{ retries: 3 }, 'INVALID_OPTION', /there is no option "retries"; the options are queue, priority/],
    [{ delay: '5m' }, 'INVALID_OPTION', /there is no option "delay"/],
    [{ unique: true }, 'UNSUPPORTED_OPTION', /"unique" will come with a later version/],
    [{ exclusive: true }, 'UNSUPPORTED_OPTION', /"exclusive" will come with a later version/],
    [{ transactional: false }, 'UNSUPPORTED_OPTION', /"transactional" will come with a later version/],
    [{ timeout: '5m' }, 'UNSUPPORTED_OPTION', /"timeout" will come with a later version/],
  ]
  for (const [options, code, says] of bad) {
    it(`are refused where they are written: ${JSON.stringify(options).slice(0, 60)}`, async () => {
      for (const decorate of [mark(options), markClass(options)]) {
        const error = thrownBy(decorate)
        expect(error).to.have.property('code', code)
        expect(error.message).to.match(says)
      }
      const byDefaults = await refusal({ defaults: options as MethodOptions })
      expect(byDefaults).to.have.property('code', code)
      const byConfigure = await refusal({ configure: () => options as MethodOptions })
      expect(byConfigure).to.have.property('code', code)
      expect(byConfigure.message).to.match(says)
    })
  }

  for (const options of [{ queue: '' }, { attempts: 0 }, { backoff: 'soon' }, { backoff: [] }, { timeout: 5 }]) {
    it(`are refused with the name of the method: ${JSON.stringify(options)}`, () => {
      expect(thrownBy(mark(options)).message).to.include('Marked.method')
    })
  }

  it('are refused on @AfterCommitBackgrounded too, like its own options', () => {
    const markAfter = (options: object) => () => {
      class Marked {
        method(): void {}
      }
      const descriptor = Object.getOwnPropertyDescriptor(Marked.prototype, 'method') as PropertyDescriptor
      AfterCommitBackgrounded(options)(Marked.prototype, 'method', descriptor)
    }
    expect(thrownBy(markAfter({ timeout: 5 }))).to.have.property('code', 'UNSUPPORTED_OPTION')
    expect(thrownBy(markAfter({ attempts: 0 }))).to.have.property('code', 'INVALID_OPTION')
    expect(thrownBy(markAfter({ on: 'delete' }))).to.have.property('code', 'INVALID_DECLARATION')
    expect(thrownBy(markAfter({ on: ['insert', 'remove'] })).message).to.match(/no event "remove": use 'insert'/)
  })

  it('that have the value undefined count as not given', async () => {
    @Entity()
    class Sparse {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded({ queue: undefined, attempts: undefined, backoff: undefined }) work(): void {}
    }
    const dataSource = await open({}, Sparse)
    const { queue } = await backgrounded(await dataSource.manager.save(new Sparse())).work()
    expect(queue).to.equal('default')
    await dataSource.destroy()
  })

  it('that are undefined do not hide the defaults of the data source', async () => {
    @Entity()
    class Sparse {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded({ queue: undefined }) work(): void {}
    }
    const dataSource = await open({ defaults: { queue: 'everywhere' } }, Sparse)
    const { queue } = await backgrounded(await dataSource.manager.save(new Sparse())).work()
    expect(queue).to.equal('everywhere')
    await dataSource.destroy()
  })

  it('come from the decorator, then from the defaults, then from the library', async () => {
    const handler = new FakeHandler()
    const dataSource = await open({ handler, defaults: { queue: 'everywhere', priority: -1 } })
    const parcel = await dataSource.manager.save(new Parcel())
    await backgrounded(parcel).plain()
    await backgrounded(parcel).chosen()
    expect(handler.jobs.map(({ queue, priority }) => [queue, priority])).to.deep.equal([
      ['everywhere', -1],
      ['own', 3],
    ])
    await dataSource.destroy()
  })

  it('pass through configure, which sees the entity, the method and its options', async () => {
    const handler = new FakeHandler()
    const asked: unknown[] = []
    const dataSource = await open({
      handler,
      defaults: { priority: 1 },
      configure: ({ entity, method, options }) => {
        asked.push([entity, method, options])
        return { ...options, queue: `test-${options.queue ?? 'default'}` }
      },
    })
    const parcel = await dataSource.manager.save(new Parcel())
    await backgrounded(parcel).plain()
    await backgrounded(parcel).chosen()
    expect(handler.jobs.map(({ queue, priority }) => [queue, priority])).to.deep.equal([
      ['test-default', 1],
      ['test-own', 3],
    ])
    expect(asked).to.deep.include(['Parcel', 'chosen', { queue: 'own', priority: 3, attempts: 2 }])
    await dataSource.destroy()
  })

  it('that configure forgets to return are refused', async () => {
    const error = await refusal({ configure: (() => undefined) as never })
    expect(error).to.have.property('code', 'INVALID_OPTION')
    expect(error.message).to.match(/configure returned undefined: return at once the options/)
  })

  it('that configure does not return at once, or returns as no plain object, are refused', async () => {
    const promise = await refusal({ configure: (async () => ({ queue: 'x' })) as never })
    expect(promise.message).to.match(/configure returned a promise: return at once/)
    const map = await refusal({ configure: (() => new Map([['queue', 'x']])) as never })
    expect(map.message).to.match(/configure returned an object of the class Map/)
  })

  it('apply to one data source only', async () => {
    const handlers = [new FakeHandler(), new FakeHandler()]
    const one = await open({ handler: handlers[0] as Handler, defaults: { queue: 'one' } })
    const two = await open({ handler: handlers[1] as Handler, defaults: { queue: 'two' } })
    const parcel = await one.manager.save(new Parcel())
    await two.manager.save(new Parcel())
    expect((await backgrounded(parcel, { manager: one.manager }).plain()).queue).to.equal('one')
    expect((await backgrounded(parcel, { manager: two.manager }).plain()).queue).to.equal('two')
    await one.destroy()
    await two.destroy()
  })

  it('that set a priority are refused at initialize() by a handler without priorities', async () => {
    const none: Handler = new NullHandler()
    const capabilities = { ...none.capabilities, honours: { delay: false, priority: false, keepCompleted: false } }
    const handler: Handler = { name: 'plain', capabilities, enqueue: (jobs) => none.enqueue(jobs) }
    const error = await refusal({ handler })
    expect(error).to.have.property('code', 'UNSUPPORTED_OPTION')
    expect(error.message).to.match(/Parcel\.chosen asks for a priority, and the plain handler has none/)
  })
})

describe('the options of a call', () => {
  let dataSource: DataSource
  let parcel: Parcel
  let handler: FakeHandler
  const now = 1_800_000_000_000

  before(async () => {
    handler = new FakeHandler(() => now)
    dataSource = await open({ handler })
    parcel = await dataSource.manager.save(new Parcel())
  })
  beforeEach(() => handler.clear())
  after(() => dataSource.destroy())

  const attempt = (options: object) =>
    backgrounded(parcel, options as CallOptions)
      .plain()
      .then(
        () => undefined,
        (error: unknown) => error as CodedError,
      )

  const bad: [object, string, RegExp][] = [
    [{ delay: -1 }, 'INVALID_OPTION', /delay is -1/],
    [{ delay: 'soon' }, 'INVALID_OPTION', /delay is 'soon'/],
    [{ delay: Infinity }, 'INVALID_OPTION', /delay/],
    [{ delay: 9e15 }, 'INVALID_OPTION', /delay/],
    [{ runAt: 'tomorrow' }, 'INVALID_OPTION', /runAt is .*: give a valid Date/],
    [{ runAt: new Date(NaN) }, 'INVALID_OPTION', /runAt is .*: give a valid Date/],
    [{ runAt: new Date(), delay: 5 }, 'INVALID_OPTION', /give delay or runAt, not both/],
    [{ queue: '' }, 'INVALID_OPTION', /queue/],
    [{ priority: 11 }, 'INVALID_OPTION', /priority/],
    [{ attempts: 0 }, 'INVALID_OPTION', /attempts/],
    [{ attempts: 2 ** 31 }, 'INVALID_OPTION', /attempts/],
    [{ backoff: 5 }, 'INVALID_OPTION', /there is no option "backoff"/],
    [{ onMissing: 'fail' }, 'INVALID_OPTION', /there is no option "onMissing"/],
    [{ unique: true }, 'UNSUPPORTED_OPTION', /later version/],
    [{ timeout: 5 }, 'UNSUPPORTED_OPTION', /later version/],
  ]
  for (const [options, code, says] of bad) {
    it(`are refused at the call: ${JSON.stringify(options)}`, async () => {
      const error = await attempt(options)
      expect(error).to.have.property('code', code)
      expect(error?.message).to.match(says)
      expect(error?.message).to.include('Parcel.plain')
      expect(handler.jobs).to.deep.equal([])
    })
  }

  it('are stored only where the call gave them', async () => {
    await backgrounded(parcel).chosen()
    await backgrounded(parcel, { attempts: 7, queue: 'other', priority: -2 }).chosen()
    const [plain, overridden] = handler.jobs
    expect(plain).not.to.have.any.keys('attempts', 'delay', 'types', 'backoff', 'onMissing')
    expect(plain).to.include({ queue: 'own', priority: 3 })
    expect(overridden).to.include({ attempts: 7, queue: 'other', priority: -2 })
  })

  it('take a delay as ms or text, and a moment', async () => {
    for (const options of [{ delay: 90_000 }, { delay: '1.5m' }] as CallOptions[]) {
      await backgrounded(parcel, options).plain()
    }
    await backgrounded(parcel, { runAt: new Date('2031-01-01T00:00:00Z') }).plain()
    expect(handler.jobs.map(({ delay }) => delay)).to.deep.equal([90_000, 90_000, undefined])
    expect(handler.jobs[2]?.runAt).to.equal('2031-01-01T00:00:00.000Z')
    expect(await drain(dataSource)).to.include({ completed: 0 })
  })

  it('round a delay up to whole ms', async () => {
    for (const delay of [0.5, '1.5ms'] as const) await backgrounded(parcel, { delay }).plain()
    expect(handler.jobs.map(({ delay }) => delay)).to.deep.equal([1, 2])
  })

  it('make an envelope as documented', async () => {
    const { id } = await backgrounded(parcel).plain()
    const [job] = handler.jobs
    expect(job).to.have.all.keys(
      'v',
      'id',
      'source',
      'entity',
      'key',
      'method',
      'args',
      'queue',
      'priority',
      'runAt',
      'enqueuedAt',
      'meta',
    )
    expect(job).to.deep.include({
      v: 1,
      id,
      source: 'default',
      entity: 'Parcel',
      key: { id: parcel.id },
      method: 'plain',
      args: [],
      queue: 'default',
      priority: 0,
      meta: {},
    })
    expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(job?.runAt).to.equal(job?.enqueuedAt)
  })
})

describe('withBackgrounded refuses', () => {
  const bad: [title: string, options: object, code: string, says: RegExp][] = [
    ['no handler', {}, 'INVALID_OPTION', /needs a handler: pass { handler: new DatabaseHandler\(\) }/],
    ['a handler that is none', { handler: {} }, 'INVALID_OPTION', /needs a handler/],
    ['a handler class', { handler: FakeHandler }, 'INVALID_OPTION', /needs a handler/],
    ['an unknown option', { handler: new NullHandler(), queues: [] }, 'INVALID_OPTION', /no option "queues"/],
    ['a bad source', { handler: new NullHandler(), source: 'a b' }, 'INVALID_OPTION', /source is "a b"/],
    ['a bad keepCompleted', { handler: new DatabaseHandler(), keepCompleted: 'x' }, 'INVALID_OPTION', /keepCompleted/],
    [
      'keepCompleted where nothing is kept',
      { handler: new SynchronousHandler(), keepCompleted: '1d' },
      'UNSUPPORTED_OPTION',
      /synchronous handler cannot keep completed jobs/,
    ],
    [
      'an outbox where jobs are written inside the transaction anyway',
      { handler: new DatabaseHandler(), outbox: true },
      'UNSUPPORTED_OPTION',
      /database handler .* needs no outbox/,
    ],
    [
      'an outbox that is neither on nor off',
      { handler: new NullHandler(), outbox: 'x' },
      'INVALID_OPTION',
      /outbox is x/,
    ],
  ]
  for (const [title, options, code, says] of bad) {
    it(title, () => {
      const error = thrownBy(() => withBackgrounded(inMemory([Parcel]), options as BackgroundedOptions))
      expect(error).to.have.property('code', code)
      expect(error.message).to.match(says)
    })
  }

  it('a handler that serves another data source, and takes it once that one is closed', async () => {
    const handler = new NullHandler()
    const first = await open({ handler })
    const error = thrownBy(() => withBackgrounded(inMemory([Parcel]), { handler }))
    expect(error).to.have.property('code', 'HANDLER_IN_USE')
    await first.destroy()
    await (await open({ handler })).destroy()
  })
})

describe('a decorator that cannot work', () => {
  it('is refused on a field, a getter, a symbol and a parameter', () => {
    class Target {
      field = 1
      get value(): number {
        return 1
      }
      [Symbol.iterator](): void {}
    }
    const decorate = (property: string | symbol) => () =>
      (Backgrounded() as (...args: unknown[]) => void)(
        Target.prototype,
        property,
        Object.getOwnPropertyDescriptor(Target.prototype, property),
      )
    for (const property of ['field', 'value', Symbol.iterator]) {
      const error = thrownBy(decorate(property))
      expect(error).to.have.property('code', 'INVALID_DECLARATION')
      expect(error.message).to.include(String(property))
    }
  })

  it('is refused on a class without method names', () => {
    const error = thrownBy(() => (Backgrounded() as (...args: unknown[]) => void)(class Bare {}))
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(error.message).to.match(/to mark a class, give it the names of methods/)
  })

  it('is refused if several methods are given one name', () => {
    class Several {
      one(): void {}
      two(): void {}
    }
    const error = thrownBy(() => Backgrounded('one', 'two', { name: 'same' })(Several))
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
  })

  it('is refused on a static method by @AfterCommitBackgrounded', () => {
    class Fixed {
      static work(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Fixed, 'work') as PropertyDescriptor
    const error = thrownBy(() => AfterCommitBackgrounded()(Fixed, 'work', descriptor))
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(error.message).to.match(/Fixed\.work is static/)
  })

  it('is refused at start-up if two methods are stored under one name', async () => {
    @Entity()
    class Clashing {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded({ name: 'two' }) one(): void {}
      @Backgrounded() two(): void {}
    }
    const error = await refusal({}, Clashing)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(error.message).to.equal('Two methods of Clashing are both stored as "two": give one of them another name.')
  })

  it('is refused at start-up if an inherited constructor sets a field that hides the generated method', async () => {
    abstract class Shadowing {
      constructor() {
        Object.defineProperty(this, 'touchBackgrounded', { value: undefined, writable: true, enumerable: true })
      }
    }
    @Entity()
    class Shadowed extends Shadowing {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() touch(): void {}
    }
    const error = await refusal({}, Shadowed)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(error.message).to.include('Shadowed has a field "touchBackgrounded" that hides the generated method')
    expect(error.message).to.include('declare touchBackgrounded: InBackground<…>')
  })

  it('is refused at start-up if a static field of a subclass hides the generated method', async () => {
    class Base {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() static sweep(): void {}
    }
    @Entity()
    class Hiding extends Base {
      static sweepBackgrounded = undefined
    }
    const error = await refusal({}, Hiding)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(error.message).to.include('static field "sweepBackgrounded"')
    expect(error.message).to.include('declare static sweepBackgrounded')
  })

  it('is refused at start-up on a static method name that is gone', async () => {
    @Entity()
    class Gone {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() static sweep(): void {}
    }
    delete (Gone as { sweep?: unknown }).sweep
    expect((await refusal({}, Gone)).message).to.match(/Gone\.sweep, but there is no such static method/)
  })

  it('leaves the refused data source closed, and a corrected one starts', async () => {
    @Entity()
    class Late {
      @PrimaryGeneratedColumn() id!: number
      work(): void {}
    }
    Backgrounded('work', 'vanished' as 'work')(Late)
    const dataSource = withBackgrounded(inMemory([Late]), { handler: new FakeHandler() })
    await dataSource.initialize().catch(() => {})
    expect(dataSource.isInitialized).to.equal(false)
    ;(Late.prototype as unknown as Record<string, unknown>).vanished = () => {}
    await dataSource.initialize()
    expect(dataSource.isInitialized).to.equal(true)
    await dataSource.destroy()
  })

  it('does not include two classes with one name and no marked method', async () => {
    const twin = (table: string) => {
      @Entity(table)
      class Quiet {
        @PrimaryGeneratedColumn() id!: number
      }
      return Quiet
    }
    await (await open({}, Parcel, twin('quiet_one'), twin('quiet_two'))).destroy()
  })

  it('fails at the call if the class is not an entity of any data source', async () => {
    class Stray {
      @Backgrounded() work(): void {}
    }
    const dataSource = await open()
    const error = await backgrounded(new Stray())
      .work()
      .catch((each: unknown) => each)
    expect(error).to.have.property('code', 'NOT_ATTACHED')
    expect((error as Error).message).to.match(/No initialised data source has Stray: list it in the "entities"/)
    await dataSource.destroy()
  })

  it('fails at the call on a plain object, with an error that names create and reference', async () => {
    const dataSource = await open()
    const { manager } = dataSource
    const bare = Object.assign(Object.create(null) as object, { id: 1 })
    for (const given of [{ id: 1 }, bare, undefined, null, 5, 'text']) {
      for (const options of [undefined, { manager }, { manager: null }]) {
        for (const target of [given, [given]]) {
          const call = backgrounded(target as Parcel, options) as unknown as { work(): Promise<unknown> }
          const error = await call.work().catch((each: unknown) => each)
          expect(error).to.have.property('code', 'NOT_ATTACHED')
          expect((error as Error).message).to.match(/repository\.create\(.*reference\(/)
        }
      }
    }
    await dataSource.destroy()
  })

  it('is refused if it gives a name that a job may not have', () => {
    for (const name of ['', 'a b', 'constructor', 5]) {
      const error = thrownBy(() => BackgroundedEntity({ name: name as string }))
      expect(error, String(name)).to.have.property('code', 'INVALID_OPTION')
    }
  })
})

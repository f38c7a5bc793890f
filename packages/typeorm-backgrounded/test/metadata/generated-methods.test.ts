import { expect } from 'chai'
import { inspect } from 'node:util'
import { BaseEntity, Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  BackgroundedEntity,
  drain,
  NullHandler,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
  type InBackground,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { BackgroundedJob } from '../../src/handlers/database'
import { inMemory } from '../support/data-sources'

const ran: string[] = []
const silent = { debug() {}, info() {}, warn() {}, error() {} }

class Greeting {
  constructor(readonly text: string) {}
}

abstract class Being extends BaseEntity {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) name!: string

  @Backgrounded({ queue: 'beings', attempts: 3 })
  greet(word: string, _times = 1): void {
    ran.push(`${this.name} being ${word}`)
  }
  declare greetBackgrounded: InBackground<Being['greet']>

  @Backgrounded() rest(): void {
    ran.push(`${this.name} being rests`)
  }
  declare restBackgrounded: InBackground<Being['rest']>

  @Backgrounded() static census(year: number): void {
    ran.push(`${this.name} ${year}`)
  }
  declare static censusBackgrounded: InBackground<typeof Being.census>
}

@Entity()
class Plant extends Being {}

@Entity()
class Cat extends Being {
  override greet(word: string): void {
    super.greet(word)
    ran.push(`${this.name} cat ${word}`)
  }
  @Backgrounded({ queue: 'cats' }) override rest(): void {
    ran.push(`${this.name} cat sleeps`)
  }
  static override census(year: number): void {
    super.census(year)
    ran.push(`cats ${year}`)
  }
  @Backgrounded() purr(): void {
    ran.push(`${this.name} purrs`)
  }
  declare purrBackgrounded: InBackground<Cat['purr']>
}

@Entity()
class Kitten extends Cat {
  @Backgrounded({ queue: 'kittens' }) override greet(word: string): void {
    ran.push(`${this.name} kitten ${word}`)
  }
}

/** As a package would bring it, without any of our decorators. */
@Entity()
class Vendor {
  @PrimaryGeneratedColumn() id!: number
  sync(full: boolean): void {
    ran.push(`sync ${full}`)
  }
  rename(name: string): void {
    ran.push(`rename ${name}`)
  }
  secret(): void {
    ran.push('secret')
  }
}
Backgrounded('sync', 'rename', { queue: 'vendor', attempts: 2 })(Vendor)

@Entity()
@Backgrounded('open', 'close')
class Door {
  @PrimaryGeneratedColumn() id!: number
  open(): void {
    ran.push('open')
  }
  close(): void {
    ran.push('close')
  }
  declare openBackgrounded: InBackground<Door['open']>
}

@Entity()
class Documented {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() read(_greeting: Greeting, _count: number): Promise<void> {
    return Promise.resolve()
  }
}

const entities = [Plant, Cat, Kitten, Vendor, Door, Documented]
type Calls = Record<string, (...args: unknown[]) => Promise<{ queue: string }>>
const calls = (target: unknown) => target as Calls

describe('a generated method', () => {
  let dataSource: DataSource
  beforeEach(async () => {
    ran.length = 0
    dataSource = inMemory(entities)
    await withBackgrounded(dataSource, { handler: new DatabaseHandler() }).initialize()
  })
  afterEach(() => dataSource.destroy())

  const born = <T extends Being>(Class: new () => T, name: string) =>
    dataSource.manager.save(Object.assign(new Class(), { name }))

  describe('is inherited', () => {
    it('from an abstract class, with its options', async () => {
      const { queue } = await (await born(Plant, 'fern')).greetBackgrounded('hello')
      expect(queue).to.equal('beings')
      await drain(dataSource)
      expect(ran).to.deep.equal(['fern being hello'])
    })

    it('and runs the method as the subclass redefines it, with the options it inherits', async () => {
      const { queue } = await (await born(Cat, 'tom')).greetBackgrounded('hello')
      expect(queue).to.equal('beings')
      await drain(dataSource)
      expect(ran).to.deep.equal(['tom being hello', 'tom cat hello'])
    })

    it('and takes the options of a subclass that marks it again, instead of the inherited ones', async () => {
      const { queue } = await (await born(Cat, 'tom')).restBackgrounded()
      expect(queue).to.equal('cats')
      const kitten = await born(Kitten, 'kit')
      expect((await kitten.greetBackgrounded('hi')).queue).to.equal('kittens')
      expect((await kitten.restBackgrounded()).queue).to.equal('cats')
      const rows = await dataSource.manager.find(BackgroundedJob, { order: { id: 'ASC' } })
      expect(rows.map(({ entity, attempts }) => [entity, attempts])).to.deep.equal([
        ['Cat', null],
        ['Kitten', null],
        ['Kitten', null],
      ])
      await drain(dataSource)
      expect(ran).to.deep.equal(['tom cat sleeps', 'kit kitten hi', 'kit cat sleeps'])
    })

    it('through two generations', async () => {
      await (await born(Kitten, 'kit')).purrBackgrounded()
      await drain(dataSource)
      expect(ran).to.deep.equal(['kit purrs'])
    })

    it('static ones too, and runs on the class it was called on', async () => {
      await Plant.censusBackgrounded(1)
      await Cat.censusBackgrounded(2)
      await drain(dataSource)
      expect(ran).to.deep.equal(['Plant 1', 'Cat 2', 'cats 2'])
    })

    it('but not upwards', () => {
      expect('purrBackgrounded' in Being.prototype).to.equal(false)
      expect('purrBackgrounded' in Plant.prototype).to.equal(false)
    })
  })

  describe('of the class form', () => {
    it('works on a class that cannot be edited, with the options for all methods', async () => {
      const vendor = await dataSource.manager.save(new Vendor())
      expect((await calls(vendor).syncBackgrounded?.(true))?.queue).to.equal('vendor')
      expect((await calls(vendor).renameBackgrounded?.('x'))?.queue).to.equal('vendor')
      await drain(dataSource)
      expect(ran).to.deep.equal(['sync true', 'rename x'])
    })

    it('marks only the methods that it names', async () => {
      const vendor = await dataSource.manager.save(new Vendor())
      expect('secretBackgrounded' in vendor).to.equal(false)
      const error = await backgrounded(vendor)
        .secret()
        .catch((each: unknown) => each)
      expect(error).to.have.property('code', 'NOT_BACKGROUNDED')
      expect((error as Error).message).to.equal(
        'Vendor.secret is not marked with @Backgrounded: put @Backgrounded() on the method, or call it directly.',
      )
    })

    it('works as a decorator', async () => {
      const door = await dataSource.manager.save(new Door())
      await door.openBackgrounded()
      await calls(door).closeBackgrounded?.()
      await drain(dataSource)
      expect(ran).to.deep.equal(['open', 'close'])
    })
  })

  describe('is invisible to', () => {
    it('keys, loops, JSON, spreads, clones and comparisons', async () => {
      const cat = await born(Cat, 'tom')
      const names: string[] = []
      for (const name in cat) names.push(name)
      expect(names).to.have.members(['id', 'name'])
      expect(Object.keys(cat)).to.have.members(['id', 'name'])
      expect(Object.getOwnPropertyNames(cat)).to.have.members(['id', 'name'])
      expect(JSON.parse(JSON.stringify(cat))).to.deep.equal({ id: cat.id, name: 'tom' })
      expect({ ...cat }).to.deep.equal({ id: cat.id, name: 'tom' })
      expect(structuredClone({ ...cat })).to.deep.equal({ id: cat.id, name: 'tom' })
      expect(inspect(cat)).not.to.include('Backgrounded')
      expect(Object.keys(Cat.prototype)).to.deep.equal([])
      expect(Object.keys(Cat)).not.to.include('censusBackgrounded')
    })

    it("TypeORM's columns, writes and loads", async () => {
      const metadata = dataSource.getMetadata(Cat)
      expect(metadata.columns.map(({ propertyName }) => propertyName)).to.have.members(['id', 'name'])
      await born(Cat, 'tom')
      const [raw] = (await dataSource.query('SELECT * FROM cat')) as object[]
      expect(Object.keys(raw as object)).to.have.members(['id', 'name'])
      const [loaded] = await dataSource.manager.find(Cat)
      expect(Object.getOwnPropertyNames(loaded)).to.have.members(['id', 'name'])
    })

    it('merge, create and the changes that save finds', async () => {
      const cat = await born(Cat, 'tom')
      const merged = dataSource.manager.merge(Cat, dataSource.manager.create(Cat), cat)
      expect(Object.keys(merged)).to.have.members(['id', 'name'])
      expect(merged.greetBackgrounded).to.equal(cat.greetBackgrounded)
    })
  })

  describe('looks like a method', () => {
    it('with its own name, as the class shows it', () => {
      expect(Cat.prototype.greetBackgrounded.name).to.equal('greetBackgrounded')
      expect(Cat.censusBackgrounded.name).to.equal('censusBackgrounded')
      expect(Being.prototype.greetBackgrounded.name).to.equal('greetBackgrounded')
    })

    it('that can be replaced by a test and put back', async () => {
      const cat = await born(Cat, 'tom')
      const original = Object.getOwnPropertyDescriptor(Being.prototype, 'greetBackgrounded') as PropertyDescriptor
      Being.prototype.greetBackgrounded = () => Promise.resolve({ id: 'stub', state: 'enqueued', queue: 'stub' })
      expect((await cat.greetBackgrounded('x')).id).to.equal('stub')
      Object.defineProperty(Being.prototype, 'greetBackgrounded', original)
      expect((await cat.greetBackgrounded('x')).id).not.to.equal('stub')
    })

    it('and leaves the method itself as it was', async () => {
      const cat = await born(Cat, 'tom')
      cat.greet('now')
      expect(ran).to.deep.equal(['tom being now', 'tom cat now'])
      expect(Being.prototype.greet.name).to.equal('greet')
      expect(Being.prototype.greet).to.have.length(1)
    })

    it('and keeps the types that the compiler left for others', () => {
      const types = Reflect.getMetadata('design:paramtypes', Documented.prototype, 'read') as unknown[]
      expect(types).to.deep.equal([Greeting, Number])
      expect(Reflect.getMetadata('design:returntype', Documented.prototype, 'read')).to.equal(Promise)
      expect(Reflect.getMetadata('design:type', Documented.prototype, 'read')).to.equal(Function)
    })

    const { stackTraceLimit } = Error
    before(() => (Error.stackTraceLimit = 10)) // V8's own, which mocha raises
    after(() => (Error.stackTraceLimit = stackTraceLimit))

    it("and shows the caller's line when a call fails, for an instance, a class and the proxy", async () => {
      const failures = [
        async function onTheInstance() {
          await new Cat().greetBackgrounded('x')
        },
        async function onTheClass() {
          await Cat.censusBackgrounded(Symbol() as never)
        },
        async function onTheProxy() {
          await backgrounded(new Cat()).greet('x')
        },
        async function onTheList() {
          await backgrounded([new Cat()]).greet('x')
        },
      ]
      for (const fail of failures) {
        const error = (await fail().catch((each: unknown) => each)) as Error
        expect(error, fail.name).to.have.property('code')
        expect(error.stack).to.include(fail.name)
        expect(error.stack).to.include('generated-methods.test')
      }
    })

    it('and never throws before it returns its promise', async () => {
      const call = new Cat().greetBackgrounded('x')
      expect(call).to.be.instanceOf(Promise)
      expect(await call.catch((error: unknown) => error)).to.have.property('code', 'MISSING_KEY')
    })
  })
})

describe('a call that the store refuses later', () => {
  it("still shows the caller's line", async () => {
    const refusing: Handler = {
      name: 'refusing',
      capabilities: new NullHandler().capabilities,
      enqueue: async () => {
        await new Promise((done) => setImmediate(done))
        throw new Error('the store is full')
      },
    }
    const dataSource = inMemory([Cat])
    await withBackgrounded(dataSource, { handler: refusing, logger: silent }).initialize()
    const cat = await dataSource.manager.save(Object.assign(new Cat(), { name: 'tom' }))
    async function onTheInstance() {
      await cat.greetBackgrounded('x')
    }
    async function onTheProxy() {
      await backgrounded(cat).greet('x')
    }
    for (const fail of [onTheInstance, onTheProxy]) {
      const error = (await fail().catch((each: unknown) => each)) as Error
      expect(error).to.have.property('code', 'ENQUEUE_FAILED')
      expect(error.stack).to.include(fail.name)
    }
    await dataSource.destroy()
  })
})

describe('the method itself', () => {
  it("fails in a synchronous call with the caller's line and its own", async () => {
    @Entity()
    class Failing {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() explode(): void {
        throw new RangeError('boom')
      }
    }
    const dataSource = inMemory([Failing])
    await withBackgrounded(dataSource, { handler: new SynchronousHandler() }).initialize()
    const row = await dataSource.manager.save(new Failing())
    const error = (await backgrounded(row)
      .explode()
      .catch((each: unknown) => each)) as Error
    expect(error).to.be.instanceOf(RangeError)
    expect(error.stack).to.include('explode')
    await dataSource.destroy()
  })
})

describe('a name', () => {
  const open = async (handler = new DatabaseHandler(), ...classes: DataSourceClass[]) =>
    withBackgrounded(inMemory(classes), { handler, logger: silent }).initialize()
  type DataSourceClass = new () => object

  it('that the options give a method is stored in jobs, and finds the method again', async () => {
    @Entity()
    class Renamed {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded({ name: 'stable.name' }) minified(): void {
        ran.push('minified')
      }
    }
    ran.length = 0
    const dataSource = await open(undefined, Renamed)
    await backgrounded(await dataSource.manager.save(new Renamed())).minified()
    const [job] = await dataSource.manager.find(BackgroundedJob)
    expect(job?.method).to.equal('stable.name')
    await drain(dataSource)
    expect(ran).to.deep.equal(['minified'])
    await dataSource.destroy()
  })

  it('that the options give a method replaces the name of the property', async () => {
    @Entity()
    class Hidden {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded({ name: 'stable' }) minified(): void {
        ran.push('minified')
      }
    }
    ran.length = 0
    const dataSource = await open(undefined, Hidden)
    const { id } = await dataSource.manager.save(new Hidden())
    await dataSource.query(
      `INSERT INTO backgrounded_jobs (entity, key, method) VALUES ('Hidden', '{"id":${id}}', 'minified')`,
    )
    expect(await drain(dataSource)).to.include({ released: 1, completed: 0 })
    expect(ran).to.deep.equal([])
    await dataSource.destroy()
  })

  it('that @BackgroundedEntity gives a class is stored in jobs, also for arguments', async () => {
    @Entity()
    @BackgroundedEntity({ name: 'billing.Account' })
    class Account {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() pay(...others: Account[]): void {
        ran.push(`pay ${others.length}`)
      }
    }
    @Entity()
    class Savings extends Account {}
    ran.length = 0
    const dataSource = await open(undefined, Account, Savings)
    const account = await dataSource.manager.save(new Account())
    await backgrounded(account).pay(account)
    await backgrounded(await dataSource.manager.save(new Savings())).pay()
    const jobs = await dataSource.manager.find(BackgroundedJob, { order: { id: 'ASC' } })
    expect(jobs.map(({ entity }) => entity)).to.deep.equal(['billing.Account', 'Savings'])
    expect(jobs[0]?.args).to.equal('[{"entity":"billing.Account","key":{"id":1}}]')
    expect(await drain(dataSource)).to.include({ completed: 2 })
    await dataSource.destroy()
  })

  it('may belong to an instance method and to a static method, which are two methods', async () => {
    @Entity()
    class Both {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() work(): void {
        ran.push('instance')
      }
      @Backgrounded() static work(): void {
        ran.push('static')
      }
    }
    ran.length = 0
    const dataSource = await open(undefined, Both)
    await backgrounded(await dataSource.manager.save(new Both())).work()
    await backgrounded(Both).work()
    await drain(dataSource)
    expect(ran).to.deep.equal(['instance', 'static'])
    await dataSource.destroy()
  })
})

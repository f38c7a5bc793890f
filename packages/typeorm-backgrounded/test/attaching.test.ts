import { expect } from 'chai'
import {
  Column,
  Entity,
  PrimaryGeneratedColumn,
  type DataSource,
  type MigrationInterface,
  type QueryRunner,
} from 'typeorm'
import {
  AfterCommitBackgrounded,
  Backgrounded,
  backgrounded,
  createWorker,
  drain,
  NullHandler,
  reference,
  resolve,
  settled,
  withBackgrounded,
  type BackgroundedOptions,
  type Handler,
  type InBackground,
} from '../src'
import { DatabaseHandler } from '../src/handlers/database'
import { FakeHandler } from '../src/testing'
import { inFile, inMemory } from './support/data-sources'
import { silent } from './support/program'
import { mariaDb, postgres, sqliteFile } from './support/stores'

const ran: string[] = []

@Entity()
class Plant {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) name!: string

  @Backgrounded() water(word: string): void {
    ran.push(word)
  }
  declare waterBackgrounded: InBackground<Plant['water']>

  @AfterCommitBackgrounded() welcome(): void {}
}

/** A handler that records when it is attached and closed. */
class RecordingHandler extends FakeHandler {
  readonly calls: string[] = []
  closing: () => Promise<void> = () => Promise.resolve()

  attach(): void {
    this.calls.push('attach')
  }
  close(): Promise<void> {
    this.calls.push('close')
    return this.closing()
  }
}

describe('attaching', () => {
  const errors: object[] = []
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  const logger = { ...silent, error: (fields: object) => void errors.push(fields) }
  let dataSource: DataSource

  beforeEach(() => {
    ran.length = errors.length = unhandled.length = 0
    process.on('unhandledRejection', note)
    dataSource = inMemory([Plant])
  })
  afterEach(async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
    process.off('unhandledRejection', note)
  })

  const attach = (handler: Handler, more: Partial<BackgroundedOptions> = {}) =>
    withBackgrounded(dataSource, { handler, logger, ...more })
  const plant = () => dataSource.manager.save(new Plant())
  /** What was begun in the background is over. */
  const quiet = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done))
  }

  for (const [how, closing] of [
    ['rejects', () => Promise.reject(new Error('it hangs on'))],
    [
      'throws',
      () => {
        throw new Error('it hangs on')
      },
    ],
  ] as [string, () => Promise<void>][]) {
    it(`destroys the data source when the handler's close() ${how}, and logs why`, async () => {
      const handler = new RecordingHandler()
      handler.closing = closing
      await attach(handler).initialize()
      await dataSource.destroy()
      expect(dataSource.isInitialized).to.equal(false)
      expect(errors).to.have.length(1)
      expect(errors[0]).to.have.nested.property('err.message', 'it hangs on')
      await dataSource.initialize()
      expect(await (await plant()).waterBackgrounded('again')).to.have.property('state', 'enqueued')
    })

    it(`does no harm when the close() of a replaced handler ${how}`, async () => {
      const handler = new RecordingHandler()
      handler.closing = closing
      await attach(handler).initialize()
      attach(new FakeHandler())
      await quiet()
      expect(unhandled).to.deep.equal([])
      expect(errors).to.have.length(1)
      expect(await (await plant()).waterBackgrounded('there')).to.have.property('state', 'enqueued')
    })
  }

  it('again with the same handler leaves it as it is', async () => {
    const handler = new RecordingHandler()
    await attach(handler).initialize()
    attach(handler)
    attach(handler, { defaults: { attempts: 3 } })
    await quiet()
    expect(handler.calls).to.deep.equal(['attach'])
    await (await plant()).waterBackgrounded('x')
    await drain(dataSource)
    expect(ran).to.deep.equal(['x'])
    expect(handler.jobs.map(({ method }) => method)).to.have.members(['welcome', 'water'])
    await dataSource.destroy()
    expect(handler.calls).to.deep.equal(['attach', 'close'])
  })

  it('again with the same handler and another name of the data source attaches it, and does not close it', async () => {
    const handler = new RecordingHandler()
    await attach(handler).initialize()
    attach(handler, { source: 'other' })
    await quiet()
    expect(handler.calls).to.deep.equal(['attach', 'attach'])
    await (await plant()).waterBackgrounded('x')
    expect(handler.jobs.at(-1)).to.have.property('source', 'other')
  })

  it('back to a handler while it is being replaced does not close it', async () => {
    const [one, two] = [new RecordingHandler(), new RecordingHandler()]
    await attach(one).initialize()
    attach(two)
    attach(one)
    await quiet()
    expect(one.calls.at(-1)).to.equal('attach')
    expect(two.calls).to.deep.equal(['attach', 'close'])
    expect(await (await plant()).waterBackgrounded('x')).to.have.property('state', 'enqueued')
    expect(one.jobs.length).to.be.greaterThan(0)
  })

  it('again keeps the same resolve', async () => {
    const bridge = (token: unknown) => `made for ${String(token)}`
    await attach(new FakeHandler(), { resolve: bridge }).initialize()
    attach(new FakeHandler(), { resolve: bridge })
    await quiet()
    expect(resolve('me')).to.equal('made for me')
    attach(new FakeHandler())
    await quiet()
    expect(() => resolve('me'))
      .to.throw()
      .with.property('code', 'NO_RESOLVER')
  })

  it('again still makes one job of one event', async () => {
    const [one, two] = [new FakeHandler(), new FakeHandler()]
    await attach(one).initialize()
    attach(two)
    await plant()
    await settled(dataSource)
    expect([one.jobs.length, two.jobs.length]).to.deep.equal([0, 1])
  })

  it('again with refused options changes nothing', async () => {
    const handler = new RecordingHandler()
    await attach(handler).initialize()
    expect(() => attach(new DatabaseHandler()))
      .to.throw()
      .with.property('code', 'MISSING_TABLE')
    expect(() => attach(handler, { defaults: { attempts: -1 } })).to.throw()
    await quiet()
    expect(handler.calls).to.deep.equal(['attach'])
    expect(await (await plant()).waterBackgrounded('x')).to.have.property('state', 'enqueued')
    await dataSource.destroy()
    await dataSource.initialize()
    expect(await (await plant()).waterBackgrounded('x')).to.have.property('state', 'enqueued')
  })

  it('lets a handler that was refused serve another data source', async () => {
    const handler = new DatabaseHandler()
    await dataSource.initialize()
    expect(() => attach(handler))
      .to.throw()
      .with.property('code', 'MISSING_TABLE')
    const other = withBackgrounded(inFile([Plant]), { handler, logger: silent })
    await other.initialize()
    await other.destroy()
  })

  it('again stops workers of the old handler, and the new one has its own', async () => {
    const one = new FakeHandler()
    await attach(one).initialize()
    const running = createWorker(dataSource).run()
    attach(new FakeHandler())
    await running
    await (await plant()).waterBackgrounded('new')
    await drain(dataSource)
    expect(ran).to.deep.equal(['new'])
  })

  it('again still delivers the calls of open transactions', async () => {
    const [one, two] = [new FakeHandler(), new RecordingHandler()]
    await attach(one).initialize()
    const row = await plant()
    await settled(dataSource)
    one.clear()
    await dataSource.transaction(async () => {
      await row.waterBackgrounded('before')
      attach(two)
      await row.waterBackgrounded('after')
      await quiet()
    })
    await settled(dataSource)
    await quiet()
    expect(one.jobs.map(({ args }) => args[0])).to.deep.equal(['before', 'after'])
    await row.waterBackgrounded('new')
    expect(two.jobs.map(({ args }) => args[0])).to.deep.equal(['new'])
  })

  it('again does not keep destroy() waiting for a transaction that never ends', async () => {
    const handler = new RecordingHandler()
    await attach(handler).initialize()
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await (await runner.manager.save(new Plant())).waterBackgrounded('never')
    attach(new NullHandler())
    await quiet()
    expect(handler.calls).to.deep.equal(['attach'])
    await dataSource.destroy()
    expect(handler.calls).to.deep.equal(['attach', 'close'])
  })
})

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`calls in a migration: ${store.name}`, () => {
    before(async function () {
      await store.require(this)
    })

    class Grow1700000000000 implements MigrationInterface {
      async up(runner: QueryRunner): Promise<void> {
        // The tables of the plugin are an earlier migration's.
        await runner.connection.synchronize()
        await runner.manager.insert(Plant, { name: 'first' })
        const row = await runner.manager.findOneByOrFail(Plant, { name: 'first' })
        await row.waterBackgrounded('by its entity')
        await backgrounded(reference(Plant, row.id), { manager: runner.manager }).water('by the manager')
      }
      down(): Promise<void> {
        return Promise.resolve()
      }
    }

    for (const how of ['migrationsRun: true', 'runMigrations()']) {
      for (const make of [() => new DatabaseHandler(), () => new FakeHandler()] as (() => Handler)[]) {
        it(`are made with ${how} and the ${make().name} handler`, async () => {
          ran.length = 0
          const migrations = { migrations: [Grow1700000000000], migrationsTransactionMode: 'none', synchronize: false }
          const options = { ...migrations, migrationsRun: how === 'migrationsRun: true' }
          const { dataSource, drop } = await store.create([Plant], options)
          try {
            await withBackgrounded(dataSource, { handler: make(), logger: silent }).initialize()
            if (how === 'runMigrations()') await dataSource.runMigrations()
            await settled(dataSource)
            expect((await drain(dataSource)).completed).to.equal(3)
            expect(ran.sort()).to.deep.equal(['by its entity', 'by the manager'])
          } finally {
            await drop()
          }
        })
      }
    }

    it('leave nothing behind when a migration fails', async () => {
      class Fails1700000000000 implements MigrationInterface {
        up(): Promise<void> {
          return Promise.reject(new Error('a bad migration'))
        }
        down(): Promise<void> {
          return Promise.resolve()
        }
      }
      const handler = new RecordingHandler()
      const options = { migrations: [Fails1700000000000], migrationsRun: true, synchronize: false }
      const { dataSource, drop } = await store.create([Plant], options)
      try {
        const failure = await withBackgrounded(dataSource, { handler, logger: silent })
          .initialize()
          .catch((error: Error) => error)
        expect(failure).to.have.property('message', 'a bad migration')
        expect(dataSource.isInitialized).to.equal(false)
        expect(handler.calls).to.deep.equal(['attach', 'close'])
      } finally {
        await drop()
      }
    })
  })
}

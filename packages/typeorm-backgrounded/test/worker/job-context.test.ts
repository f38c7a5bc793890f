import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  currentJob,
  currentJobOrUndefined,
  drain,
  resolve,
  SynchronousHandler,
  withBackgrounded,
  type BackgroundedOptions,
  type CurrentJob,
  type Handler,
  type Logger,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { BackgroundedJob } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { until } from '../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const seen: (CurrentJob | undefined)[] = []
let during: (job: Task) => unknown = () => {}

@Entity()
class Task {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) name!: string
  @Backgrounded({ queue: 'tasks', attempts: 4, backoff: 0 }) async work(): Promise<void> {
    seen.push(currentJobOrUndefined())
    await during(this)
  }
  @Backgrounded() static async sweep(): Promise<void> {
    seen.push(currentJob())
    await Promise.resolve()
  }
}

const handlers: Record<string, () => Handler> = {
  SynchronousHandler: () => new SynchronousHandler(),
  FakeHandler: () => new FakeHandler(),
  DatabaseHandler: () => new DatabaseHandler(),
}

async function open(options: Partial<BackgroundedOptions> = {}): Promise<DataSource> {
  const handler = options.handler ?? new SynchronousHandler()
  return withBackgrounded(inFile([Task]), { logger: silent, ...options, handler }).initialize()
}

beforeEach(() => {
  seen.length = 0
  during = () => {}
})

for (const [name, make] of Object.entries(handlers)) {
  describe(`the current job: ${name}`, () => {
    let dataSource: DataSource
    let task: Task
    before(async () => {
      dataSource = await open({ handler: make() })
      task = await dataSource.manager.save(Object.assign(new Task(), { name: 'one' }))
    })
    after(() => dataSource.destroy())

    it('shows the fields of the job', async () => {
      const before = Date.now()
      const { id } = await backgrounded(task).work()
      await drain(dataSource)
      const job = seen[0] as CurrentJob
      expect(job).to.include({ id, entity: 'Task', method: 'work', queue: 'tasks', attempt: 1, attempts: 4 })
      expect(job.key).to.deep.equal({ id: task.id })
      expect(job.enqueuedAt).to.be.instanceOf(Date)
      expect(job.enqueuedAt.getTime()).to.be.within(before, Date.now())
      expect(job.manager).to.equal(dataSource.manager)
      expect(job.signal.aborted).to.equal(false)
      expect(job.log).to.have.property('info')
    })

    it('shows the attempts of the call', async () => {
      await backgrounded(task, { attempts: 9, queue: 'urgent' }).work()
      await drain(dataSource)
      expect(seen[0]).to.include({ attempts: 9, queue: 'urgent' })
    })

    it('has no key in a static method', async () => {
      await backgrounded(Task).sweep()
      await drain(dataSource)
      expect(seen[0]?.key).to.equal(undefined)
      expect(seen[0]).to.include({ entity: 'Task', method: 'sweep' })
    })

    it('belongs to each of many jobs that run side by side, after every await', async () => {
      const mismatches: unknown[] = []
      during = async (row) => {
        for (let turn = 0; turn < 5; turn++) {
          await new Promise((done) => setImmediate(done))
          if (currentJob().key?.id !== row.id) mismatches.push(row.id)
        }
      }
      const rows = await dataSource.manager.save(Array.from({ length: 10 }, () => new Task()))
      await backgrounded(rows).work()
      await drain(dataSource, { concurrency: 10 })
      expect(mismatches).to.deep.equal([])
    })

    it('does not reach the code that made the call, and does not outlive the job', async () => {
      await backgrounded(task).work()
      await drain(dataSource)
      expect(currentJobOrUndefined()).to.equal(undefined)
    })
  })
}

describe('outside a job', () => {
  it('currentJob throws with the fix, and currentJobOrUndefined does not', () => {
    expect(() => currentJob()).to.throw(/No job is running here: use currentJobOrUndefined\(\)/)
    expect(currentJobOrUndefined()).to.equal(undefined)
  })

  it('a method stays callable in the foreground', async () => {
    await new Task().work()
    expect(seen).to.deep.equal([undefined])
  })
})

describe('inside a job', () => {
  let dataSource: DataSource
  afterEach(() => dataSource?.isInitialized && dataSource.destroy())

  it('a call made by the method is a job of its own, with a context of its own', async () => {
    dataSource = await open({ handler: new FakeHandler() })
    const [outer, inner] = await dataSource.manager.save([new Task(), new Task()])
    during = async (row) => {
      if (row.id === outer?.id) await backgrounded(inner as Task).work()
    }
    await backgrounded(outer as Task).work()
    expect(await drain(dataSource)).to.include({ completed: 2 })
    expect(seen.map((job) => job?.key?.id)).to.deep.equal([outer?.id, inner?.id])
  })

  it('a synchronous call inside a job comes back to the context of the outer one', async () => {
    dataSource = await open({ handler: new SynchronousHandler() })
    const [outer, inner] = await dataSource.manager.save([new Task(), new Task()])
    let after: unknown
    during = async (row) => {
      if (row.id !== outer?.id) return
      await backgrounded(inner as Task).work()
      after = currentJob().key?.id
    }
    await backgrounded(outer as Task).work()
    expect(after).to.equal(outer?.id)
  })

  it('the attempt counts up', async () => {
    dataSource = await open({ handler: new FakeHandler() })
    during = () => {
      if (currentJob().attempt < 3) throw new Error('not yet')
    }
    await backgrounded(await dataSource.manager.save(new Task())).work()
    expect(await drain(dataSource)).to.include({ retried: 2, completed: 1 })
    expect(seen.map((job) => job?.attempt)).to.deep.equal([1, 2, 3])
  })

  it('progress is stored while the method runs', async () => {
    dataSource = await open({ handler: new DatabaseHandler() })
    const stored: unknown[] = []
    during = async () => {
      currentJob().progress({ done: 1, of: 2 })
      await until(async () => {
        const [row] = await dataSource.manager.find(BackgroundedJob)
        if (row?.progress) stored.push(JSON.parse(row.progress))
        return stored.length > 0
      })
    }
    await backgrounded(await dataSource.manager.save(new Task())).work()
    expect(await drain(dataSource)).to.include({ completed: 1 })
    expect(stored).to.deep.equal([{ done: 1, of: 2 }])
  })

  it('progress that cannot be stored does no harm', async () => {
    for (const handler of [new DatabaseHandler(), new FakeHandler(), new SynchronousHandler()]) {
      dataSource = await open({ handler })
      const cyclic: Record<string, unknown> = {}
      cyclic.self = cyclic
      during = () => {
        for (const value of [cyclic, 5n, undefined, () => 1, 'x'.repeat(100_000)]) currentJob().progress(value)
      }
      await backgrounded(await dataSource.manager.save(new Task())).work()
      await drain(dataSource, { throwOnFailure: true })
      await dataSource.destroy()
    }
    expect(seen).to.have.length(3)
  })

  it('log lines carry the job, with a logger that has children and with one that has not', async () => {
    const lines: [object, string][] = []
    const plain: Logger = {
      debug: () => {},
      info: (fields, message) => lines.push([fields, message]),
      warn: () => {},
      error: () => {},
    }
    const withChild: Logger = {
      ...plain,
      child: (bound) => ({ ...plain, info: (fields, message) => lines.push([{ ...bound, ...fields }, message]) }),
    }
    for (const logger of [plain, withChild]) {
      lines.length = 0
      dataSource = await open({ handler: new FakeHandler(), logger })
      during = () => currentJob().log.info({ pages: 3 }, 'printed')
      const { id } = await backgrounded(await dataSource.manager.save(new Task())).work()
      await drain(dataSource)
      expect(lines.find(([, message]) => message === 'printed')?.[0]).to.deep.equal({
        job: id,
        entity: 'Task',
        method: 'work',
        pages: 3,
      })
      await dataSource.destroy()
    }
  })

  it('the manager reads and writes', async () => {
    dataSource = await open({ handler: new FakeHandler() })
    during = (row) => currentJob().manager.update(Task, row.id, { name: 'changed' })
    const task = await dataSource.manager.save(new Task())
    await backgrounded(task).work()
    await drain(dataSource, { throwOnFailure: true })
    expect((await dataSource.manager.findOneByOrFail(Task, { id: task.id })).name).to.equal('changed')
  })
})

describe('resolve', () => {
  const opened: DataSource[] = []
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.destroy()
  })
  const openWith = async (bridge: (token: unknown) => unknown) => {
    const dataSource = await open({ resolve: bridge })
    opened.push(dataSource)
    return dataSource
  }
  class Mailer {
    readonly name = 'mailer'
  }

  it('calls the option resolve outside a job, and inside one', async () => {
    const mailer = new Mailer()
    const dataSource = await openWith((token) => (token === Mailer ? mailer : undefined))
    expect(resolve<Mailer>(Mailer)).to.equal(mailer)
    let inside: unknown
    during = () => (inside = resolve<Mailer>(Mailer))
    await backgrounded(await dataSource.manager.save(new Task())).work()
    expect(inside).to.equal(mailer)
  })

  it('passes a promise on', async () => {
    await openWith(async () => Promise.resolve(new Mailer()))
    expect(resolve(Mailer)).to.be.instanceOf(Promise)
    expect(await resolve<Promise<Mailer>>(Mailer)).to.be.instanceOf(Mailer)
  })

  it("passes on the option's own error", async () => {
    await openWith(() => {
      throw new RangeError('no such provider')
    })
    expect(() => resolve('x')).to.throw(RangeError, 'no such provider')
  })

  it("calls the option of the running job's data source if several have one", async () => {
    const one = await openWith(() => 'one')
    const two = await openWith(() => 'two')
    const answers: unknown[] = []
    during = () => answers.push(resolve('x'))
    await backgrounded(await one.manager.save(new Task()), { manager: one.manager }).work()
    await backgrounded(await two.manager.save(new Task()), { manager: two.manager }).work()
    expect(answers).to.deep.equal(['one', 'two'])
    expect(() => resolve('x'))
      .to.throw()
      .with.property('code', 'NO_RESOLVER')
  })

  it('says what to do if no data source has the option', async () => {
    opened.push(await open())
    expect(() => resolve('x'))
      .to.throw(/pass { resolve: \(token\) => container\.get\(token\) } to withBackgrounded/)
      .with.property('code', 'NO_RESOLVER')
  })

  it('no longer works when the data source is closed', async () => {
    const dataSource = withBackgrounded(inMemory([Task]), { handler: new SynchronousHandler(), resolve: () => 'x' })
    await dataSource.initialize()
    expect(resolve('x')).to.equal('x')
    await dataSource.destroy()
    expect(() => resolve('x'))
      .to.throw()
      .with.property('code', 'NO_RESOLVER')
  })
})

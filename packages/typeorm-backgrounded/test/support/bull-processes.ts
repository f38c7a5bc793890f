import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { withBackgrounded } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { Task } from '../integration/fixtures/task'
import { temporaryDirectory } from './data-sources'
import { createPostgres } from './postgres'
import { redisUrl, removeKeys, uniquePrefix } from './redis'
import { linesOf, WorkerProcess } from './worker-process'

const fixtures = join(__dirname, '../integration/fixtures')

interface Options {
  readonly redis?: string
  /** Bull's settings of every process. */
  readonly settings?: object
  readonly outbox?: boolean
  /** Connections are made by a function of the program's. */
  readonly createClient?: boolean
  readonly source?: string
  readonly prefix?: string
}

/** A program on Postgres and Redis: its producer is this process, its workers are others. */
export class BullProgram {
  private readonly children: { kill(signal: NodeJS.Signals): unknown; exited: Promise<unknown> }[] = []
  readonly log = join(temporaryDirectory(), 'runs.log')

  private hasEnded = false

  private constructor(
    readonly dataSource: DataSource,
    readonly handler: BullHandler,
    private readonly env: Record<string, string>,
    private readonly cleanUp: () => Promise<void>,
  ) {}

  static async start(options: Options = {}): Promise<BullProgram> {
    const {
      redis = redisUrl,
      settings = {},
      outbox = true,
      createClient = false,
      source,
      prefix = uniquePrefix(),
    } = options
    const { dataSource, drop } = await createPostgres([Task])
    const handler = new BullHandler({ redis, prefix, settings })
    await withBackgrounded(dataSource, { handler, outbox, source, logger: silent }).initialize()
    const env = {
      REDIS_URL: redis,
      REDIS_PREFIX: prefix,
      BULL_SETTINGS: JSON.stringify(settings),
      OUTBOX: outbox ? '1' : '0',
      CREATE_CLIENT: createClient ? '1' : '0',
      DATABASE: JSON.stringify(connectionOf(dataSource)),
      ...(source === undefined ? {} : { SOURCE: source }),
    }
    const cleanUp = async () => {
      await drop()
      if (redis === redisUrl) await removeKeys(prefix)
    }
    return new BullProgram(dataSource, handler, env, cleanUp)
  }

  /** `typeorm-backgrounded worker`, in a process of its own. */
  worker(...flags: string[]): WorkerProcess {
    const worker = new WorkerProcess(join(fixtures, 'bull-data-source.js'), { ...this.env, RUN_LOG: this.log }, flags)
    this.children.push(worker)
    return worker
  }

  /** Another program of this one's, in a process of its own. */
  async process(name: string, env: Record<string, string> = {}): Promise<ChildProcess> {
    const child = fork(join(fixtures, name), { env: { ...process.env, ...this.env, RUN_LOG: this.log, ...env } })
    this.children.push({ kill: (signal) => child.kill(signal), exited: once(child, 'exit') })
    return child
  }

  save(title: string): Promise<Task> {
    return this.dataSource.manager.save(Object.assign(new Task(), { title }))
  }

  async tasks(number: number): Promise<Task[]> {
    return this.dataSource.manager.save(
      Array.from({ length: number }, (_, index) => Object.assign(new Task(), { title: String(index) })),
    )
  }

  /** What the methods have written, in order. */
  get lines(): string[] {
    return linesOf(this.log)
  }

  /** No job waits, runs or is kept, here or in the outbox. */
  async isDone(): Promise<boolean> {
    const { waiting, running } = await this.handler.counts()
    return waiting + running === 0 && (await this.leftovers()) === 0
  }

  /** How many rows the outbox has. */
  async leftovers(): Promise<number> {
    if (this.env.OUTBOX === '0') return 0
    const [{ number }] = await this.dataSource.query('SELECT count(*)::int AS number FROM backgrounded_outbox')
    return number as number
  }

  /** How many pushes the outbox has not let Redis forget. */
  async rememberedPushes(): Promise<number> {
    return await this.handler.queue().client.zcard(`${this.env.REDIS_PREFIX}:${this.env.SOURCE ?? 'default'}:pushed`)
  }

  async end(): Promise<void> {
    if (this.hasEnded) return
    this.hasEnded = true
    for (const child of this.children) child.kill('SIGKILL')
    await Promise.all(this.children.map(({ exited }) => exited))
    await this.cleanUp()
  }
}

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>

/** Starts programs for the tests of a suite, and ends them after each. */
export function programsOfSuite(): (options?: Options) => Promise<BullProgram> {
  const programs: BullProgram[] = []
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.end()))
  })
  return async (options) => {
    const program = await BullProgram.start(options)
    programs.push(program)
    return program
  }
}

function connectionOf({ options }: DataSource): Partial<PostgresOptions> {
  const { type, host, port, username, password, database } = options as PostgresOptions
  return { type, host, port, username, password, database }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

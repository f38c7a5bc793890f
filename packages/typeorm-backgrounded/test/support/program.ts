import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { Task } from '../integration/fixtures/task'
import { temporaryDirectory } from './data-sources'
import { RunLog } from './run-log'
import { WorkerProcess } from './worker-process'

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>

const fixtures = join(__dirname, '../integration/fixtures')

/** A program whose producer is this process, and whose workers are others. */
export abstract class Program {
  private readonly children: { kill(signal: NodeJS.Signals): unknown; exited: Promise<unknown> }[] = []
  private readonly runs = new RunLog(join(temporaryDirectory(), 'runs.log'))
  private hasEnded = false

  /**
   * @param dataSourceFile of the other processes, in the fixtures
   * @param env environment variables for the other processes
   */
  protected constructor(
    readonly dataSource: DataSource,
    private readonly dataSourceFile: string,
    protected readonly env: Readonly<Record<string, string>>,
    private readonly cleanUp: () => Promise<void>,
  ) {}

  /** `typeorm-backgrounded worker`, in a process of its own. */
  worker(...flags: string[]): WorkerProcess {
    const worker = new WorkerProcess(join(fixtures, this.dataSourceFile), this.childEnv, flags)
    this.children.push(worker)
    return worker
  }

  /** Several of them, once they have started. */
  async workers(number: number, ...flags: string[]): Promise<WorkerProcess[]> {
    const workers = Array.from({ length: number }, () => this.worker(...flags))
    await Promise.all(workers.map((worker) => worker.started()))
    return workers
  }

  /** Workers of which each is followed by another when it ends. */
  supervised(number: number, ...flags: string[]): void {
    for (let index = 0; index < number; index++) {
      void this.worker(...flags).exited.then(() => {
        if (!this.hasEnded) this.supervised(1, ...flags)
      })
    }
  }

  /** Another program of this one's, in a process of its own. */
  async process(name: string, env: Record<string, string> = {}): Promise<ChildProcess> {
    const child = fork(join(fixtures, name), { env: { ...process.env, ...this.childEnv, ...env } })
    this.children.push({ kill: (signal) => child.kill(signal), exited: once(child, 'exit') })
    return child
  }

  save(title: string): Promise<Task> {
    return this.dataSource.manager.save(Object.assign(new Task(), { title }))
  }

  async tasks(number: number): Promise<Task[]> {
    return this.dataSource.manager.save(
      Array.from({ length: number }, (_, index) => Object.assign(new Task(), { title: String(index) })),
      { chunk: 500 },
    )
  }

  /** What the methods have written, in order. */
  get lines(): readonly string[] {
    return this.runs.lines
  }

  async end(): Promise<void> {
    if (this.hasEnded) return
    this.hasEnded = true
    for (const child of this.children) child.kill('SIGKILL')
    await Promise.all(this.children.map(({ exited }) => exited))
    await this.cleanUp()
  }

  private get childEnv(): Record<string, string> {
    return { ...this.env, RUN_LOG: this.runs.file }
  }
}

/** Starts programs for the tests of a suite, and ends them after each. */
export function endingAfterEach<Arguments extends unknown[], P extends Program>(
  start: (...args: Arguments) => Promise<P>,
): (...args: Arguments) => Promise<P> {
  const programs: P[] = []
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.end()))
  })
  return async (...args) => {
    const program = await start(...args)
    programs.push(program)
    return program
  }
}

/** How another process finds the database of this data source. */
export function connectionOf({ options }: DataSource): object {
  const { type, host, port, username, password, database, schema, poolSize, entityPrefix } = options as PostgresOptions
  return { type, host, port, username, password, database, schema, poolSize, entityPrefix }
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} }

import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Place, PrivatePlace } from '../places/place'
import type { SideName } from '../sides'
import type { StepName, StepResult, StepSettings } from '../steps'

/** What a child is told at its start. */
export interface Assignment {
  readonly step: StepName
  readonly side: SideName
  readonly place: Place
  readonly settings: unknown
}

/** What parent and child say to each other. */
export type FromChild =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly count: number }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'failure'; readonly error: string }
export type ToChild = 'go' | 'stop'

const LONGEST = 15 * 60_000

const running = new Set<ChildProcess>()

/** A fresh process in which one side takes one step; everything it needs is connected before `go`. */
export class Child<Name extends StepName> {
  count = 0
  private onProgress = () => {}
  private readonly ready: Promise<void>
  private readonly result: Promise<StepResult<Name>>

  private constructor(
    assignment: Assignment,
    private readonly process: ChildProcess,
  ) {
    const { process: child } = this
    const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST)
    let resolveReady: () => void
    this.ready = new Promise((resolve) => (resolveReady = resolve))
    const ended = new Promise<StepResult<Name>>((resolve, reject) => {
      child.on('message', (message: FromChild) => {
        if (message.kind === 'ready') resolveReady()
        if (message.kind === 'progress') this.counted(message.count)
        if (message.kind === 'result') resolve(message.result as StepResult<Name>)
        if (message.kind === 'failure') reject(new Error(message.error))
      })
      child.on('exit', (code, signal) => reject(new Error(`${assignment.side} ended: ${signal ?? code}`)))
    })
    this.result = ended.finally(() => clearTimeout(timer))
    this.result.catch(() => {})
    child.send(assignment)
  }

  static async start<Name extends StepName>(
    step: Name,
    side: SideName,
    place: PrivatePlace,
    settings: StepSettings<Name>,
  ): Promise<Child<Name>> {
    const child = new Child<Name>({ step, side, place: dataOf(place), settings }, forked(place.node))
    await Promise.race([child.ready, child.result])
    place.isBlank = false
    return child
  }

  /** Starts, takes the step, and has ended. */
  static async run<Name extends StepName>(
    step: Name,
    side: SideName,
    place: PrivatePlace,
    settings: StepSettings<Name>,
  ): Promise<StepResult<Name>> {
    const child = await Child.start(step, side, place, settings)
    child.go()
    return child.end()
  }

  go(): void {
    this.process.send('go' satisfies ToChild)
  }

  stop(): void {
    this.process.send('stop' satisfies ToChild)
  }

  /** Its result, once the process is gone. */
  async end(): Promise<StepResult<Name>> {
    const { process: child } = this
    const result = await this.result
    if (child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve))
    return result
  }

  /** Calls `listener` with every count, and rejects when the child ends before its time. */
  watch(listener: () => void): Promise<unknown> {
    this.onProgress = listener
    return this.result
  }

  private counted(count: number): void {
    this.count = count
    this.onProgress()
  }
}

/** For a run that is broken off. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGKILL')
}

function forked(node: string): ChildProcess {
  const child = fork(join(__dirname, 'entry.js'), [], {
    execPath: node,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: process.env.BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_PROFILE}`] : [],
    // In a group of its own: Ctrl-C is for the benchmark, which then ends it.
    detached: true,
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

export function dataOf({ postgres, mariadb, redis, sqlite, pool, isBlank }: PrivatePlace): Place {
  return { postgres, mariadb, redis, sqlite, pool, isBlank }
}

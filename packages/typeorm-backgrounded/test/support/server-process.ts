import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { until } from './worker-process'

interface ServerCommand {
  readonly file: string
  readonly flags: readonly string[]
  readonly options?: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid' | 'env'>
  /** Gets what it writes about itself, for the message when it does not start. */
  readonly logFile: string
  /** Resolves when it answers. */
  readonly ping: () => Promise<unknown>
  /** What ends it at once, its children too; default SIGKILL. */
  readonly killedBy?: NodeJS.Signals
}

/** The process of a server of a test's own: started, stopped and started again on the same files. */
export class ServerProcess {
  private child?: ChildProcess

  constructor(private readonly command: ServerCommand) {}

  get pid(): number | undefined {
    return this.child && !hasExited(this.child) ? this.child.pid : undefined
  }

  async start(): Promise<void> {
    const { file, flags, options, logFile, ping, killedBy = 'SIGKILL' } = this.command
    const log = openSync(logFile, 'a')
    const child = spawn(file, flags, { stdio: ['ignore', log, log], ...options })
    closeSync(log)
    this.child = child
    await once(child, 'spawn')
    endWithTests(child, killedBy)
    const answers = async () => {
      if (hasExited(child)) throw new Error(`${file} exited: ${this.log()}`)
      return ping().then(
        () => true,
        () => false,
      )
    }
    await until(answers, 20_000, () => this.log())
  }

  /** Resolves when these have ended it. */
  async end(...signals: NodeJS.Signals[]): Promise<void> {
    const { child } = this
    if (!child || hasExited(child)) return
    const exited = once(child, 'exit')
    child.ref()
    for (const signal of signals) child.kill(signal)
    await exited
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal)
  }

  private log(): string {
    return readFileSync(this.command.logFile, 'utf8')
  }
}

const running = new Map<ChildProcess, NodeJS.Signals>()

/** A server that a test forgot neither outlives the test run nor keeps it from ending. */
function endWithTests(child: ChildProcess, killedBy: NodeJS.Signals): void {
  child.unref()
  running.set(child, killedBy)
  child.once('exit', () => running.delete(child))
}

// Before the temporary directories are removed, so that nobody writes to them any more.
process.prependListener('exit', () => {
  for (const [child, killedBy] of running) {
    child.kill(killedBy)
    child.kill('SIGCONT') // it may be frozen
  }
})

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { until } from './worker-process'

interface ServerCommand {
  readonly file: string
  readonly flags: readonly string[]
  readonly options?: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid' | 'env'>
  /** Gets what it writes about itself, for the message when it does not start. */
  readonly logFile: string
  /** Resolves when it answers. */
  readonly ping: () => Promise<unknown>
  /** As an operator stops it; default SIGTERM. */
  readonly stoppedBy?: NodeJS.Signals
  /** What ends it at once, its children too; default SIGKILL. */
  readonly killedBy?: NodeJS.Signals
}

/** A server of a test's own, to be stopped for a time, killed, frozen and restarted on the same port and files. */
export abstract class PrivateServer {
  private child?: ChildProcess

  protected constructor(private readonly command: ServerCommand) {}

  /** With what it has. */
  async restart(): Promise<void> {
    await this.stop()
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

  /** As an operator stops it. */
  async stop(): Promise<void> {
    await this.endBy(this.command.stoppedBy ?? 'SIGTERM')
  }

  /** As a crash stops it. */
  async kill(): Promise<void> {
    await this.endBy(this.command.killedBy ?? 'SIGKILL')
  }

  /** Keeps its connections, and answers on none of them. */
  freeze(): void {
    const processes = this.processes()
    for (const pid of processes) send(pid, 'SIGSTOP')
    // The signal is there at once, and a thread that is busy on another core goes on for a moment.
    for (const end = Date.now() + 2_000; Date.now() < end && !processes.every(isStopped););
  }

  thaw(): void {
    for (const pid of this.processes()) send(pid, 'SIGCONT')
  }

  /** For the end of a test, in whatever state it left the server. */
  async end(): Promise<void> {
    await this.kill()
  }

  /** Those that serve connections, the one that starts them first. */
  protected processes(): number[] {
    const { child } = this
    return child?.pid === undefined || hasExited(child) ? [] : [child.pid]
  }

  private async endBy(signal: NodeJS.Signals): Promise<void> {
    const { child } = this
    if (!child || hasExited(child)) return
    const exited = once(child, 'exit')
    child.ref()
    child.kill(signal)
    this.thaw()
    await exited
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

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function isStopped(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return threads.every((id) =>
      / [Tt] /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8').split(')').at(-1) ?? ''),
    )
  } catch {
    return true // it has gone, or this is no Linux
  }
}

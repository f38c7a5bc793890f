import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { JobSummary } from 'typeorm-backgrounded'
import { until } from './until'
import { nameOf, type Report, type Start } from './worker-log'

const ENDS = ['completed', 'discarded', 'failed for good']

/** `typeorm-backgrounded worker -d dist/data-source.js`, in a process of its own. */
export class WorkerProcess {
  private readonly child: ChildProcess
  private readonly ends = new Map<string, Report>()

  constructor(onStart: (start: Start) => void, onReport: (report: Report) => void) {
    const dataSource = join(__dirname, '..', 'data-source.js')
    this.child = spawn(process.execPath, [workerCommand(), 'worker', '-d', dataSource], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LOG_LEVEL: 'info' },
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      if (!line.startsWith('{')) return console.log(line) // a method's own console.log
      const entry = JSON.parse(line) as Report | Start | { msg: string }
      if ('handler' in entry) return onStart(entry)
      if (!('job' in entry)) return
      if (ENDS.includes(entry.msg)) this.ends.set(entry.job.id, entry)
      onReport(entry)
    })
  }

  /** Resolves with the worker's last word about a job. */
  endOf(job: JobSummary, deadline: AbortSignal): Promise<Report> {
    return until(`${nameOf(job)} to end`, deadline, () => {
      const end = this.ends.get(job.id)
      if (!end && this.hasExited) throw new Error('the worker has exited before its time')
      return end
    })
  }

  /** Lets it finish what it is doing. */
  async stop(): Promise<void> {
    const patience = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    if (!this.hasExited) {
      this.child.kill('SIGTERM')
      await once(this.child, 'exit')
    }
    clearTimeout(patience)
    const { signalCode, exitCode } = this.child
    if (exitCode !== 0) throw new Error(`the worker ended with ${signalCode ?? `exit code ${exitCode}`}`)
  }

  private get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }
}

function workerCommand(): string {
  const manifest = require.resolve('typeorm-backgrounded/package.json')
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> }
  return resolve(dirname(manifest), bin['typeorm-backgrounded']!)
}

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const cli = join(__dirname, '../../src/cli/index.js')

/** A worker started from the command line, as users start it. */
export class WorkerProcess {
  output = ''
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  private readonly child: ChildProcess

  constructor(dataSourceFile: string, env: Record<string, string>, flags: readonly string[] = []) {
    this.child = spawn(process.execPath, [cli, 'worker', '-d', dataSourceFile, ...flags], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.on('data', (chunk) => (this.output += chunk))
    this.child.stderr?.on('data', (chunk) => (this.output += chunk))
    this.exited = new Promise((resolve) => this.child.on('exit', (code, signal) => resolve({ code, signal })))
  }

  get pid(): number {
    return this.child.pid as number
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async started(): Promise<void> {
    await until(
      () => this.output.includes('worker started'),
      20_000,
      () => this.output,
    )
  }

  /** SIGKILL, whatever it does; for the end of a test. */
  async end(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}

/** The lines of a file that may not be there yet. */
export function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
}

/** Polls until the condition holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeout = 20_000,
  detail = () => '',
): Promise<void> {
  for (const start = Date.now(); Date.now() - start < timeout;) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`waited ${timeout} ms in vain ${detail()}`)
}

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The installed command, as a user starts it. */
export class Worker {
  output = ''
  private readonly child
  private readonly exited: Promise<unknown[]>

  constructor(...flags: string[]) {
    const command = join(__dirname, 'node_modules/.bin/typeorm-backgrounded')
    this.child = spawn(command, ['worker', '-d', join(__dirname, 'data-source.js'), ...flags])
    this.child.stdout.on('data', (text) => (this.output += text))
    this.child.stderr.on('data', (text) => (this.output += text))
    this.exited = once(this.child, 'exit')
  }

  terminate(): void {
    this.child.kill('SIGTERM')
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** Waits for its end, at most 30 s. */
  async endsWith(code: number): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 30_000)
    const [actual, signal] = await this.exited
    clearTimeout(timer)
    assert.equal(actual ?? signal, code, this.output)
  }
}

/** Waits for a condition, at most 30 s. */
export async function until(condition: () => boolean | Promise<boolean>, worker: Worker): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(20)) if (await condition()) return
  throw new Error(`waited 30 s in vain; the worker says:\n${worker.output}`)
}

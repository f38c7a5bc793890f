import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

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

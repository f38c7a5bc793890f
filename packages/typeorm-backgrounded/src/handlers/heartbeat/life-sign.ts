import inspector from 'node:inspector'
import { attempt } from '../../reporting/text-of'

const NAMES_AT = 24
const SIZE = 4_096

/** Memory that a worker's main loop and its heartbeat share: how often the loop has turned, and what it is running. */
export class LifeSign {
  private readonly numbers: Float64Array
  private readonly text: Uint8Array

  constructor(readonly memory = new SharedArrayBuffer(SIZE)) {
    this.numbers = new Float64Array(memory, 0, 3)
    this.text = new Uint8Array(memory, NAMES_AT)
  }

  /** The main loop turns. */
  turn(): void {
    this.numbers[0] = this.turns + 1
    this.numbers[2] = isDebuggable() ? 1 : 0
  }

  /** What the main loop is about to run, as `'User.sendWelcome'`. */
  isRunning(names: readonly string[]): void {
    // Into a copy first: shared memory is no place for a decoder or an encoder.
    const bytes = new TextEncoder().encode(names.join(', ')).subarray(0, this.text.length)
    this.text.set(bytes)
    this.numbers[1] = bytes.length
  }

  get turns(): number {
    return this.numbers[0] ?? 0
  }

  /** A breakpoint looks like a loop that hangs; only the main thread knows of its debugger. */
  get isDebugged(): boolean {
    return this.numbers[2] === 1
  }

  get names(): string {
    return new TextDecoder().decode(this.text.slice(0, this.numbers[1]))
  }
}

/** Some builds of Node have no inspector. */
function isDebuggable(): boolean {
  return attempt(() => inspector.url() !== undefined, false)
}

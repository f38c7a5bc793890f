import inspector from 'node:inspector'
import { attempt } from '../../reporting/text-of'

const NAMES_AT = 24
const SIZE = 4_096

/** Memory that a worker's main loop and its heartbeat's thread share: how often the loop has turned, and what it runs. */
export class LifeSign {
  private readonly numbers: Float64Array
  private readonly text: Uint8Array

  constructor(readonly memory = new SharedArrayBuffer(SIZE)) {
    this.numbers = new Float64Array(memory, 0, 3)
    this.text = new Uint8Array(memory, NAMES_AT)
  }

  /** Called by the main loop at each turn. */
  turn(): void {
    this.numbers[0] = this.turns + 1
    this.numbers[2] = isDebuggable() ? 1 : 0
  }

  /** Stores what the main loop is about to run, as `'User.sendWelcome'`. */
  isRunning(names: readonly string[]): void {
    // Into a copy first, because encoders and decoders do not work on shared memory.
    const bytes = new TextEncoder().encode(names.join(', ')).subarray(0, this.text.length)
    this.text.set(bytes)
    this.numbers[1] = bytes.length
  }

  get turns(): number {
    return this.numbers[0] ?? 0
  }

  /** Whether a debugger is attached, because a breakpoint looks like a loop that hangs. Only the main thread knows. */
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

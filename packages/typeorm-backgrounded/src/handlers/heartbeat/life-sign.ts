const NAMES_AT = 16
const SIZE = 4_096

/** Memory that a worker's main loop and its heartbeat share: how often the loop has turned, and what it is running. */
export class LifeSign {
  private readonly numbers: Float64Array
  private readonly text: Uint8Array

  constructor(readonly memory = new SharedArrayBuffer(SIZE)) {
    this.numbers = new Float64Array(memory, 0, 2)
    this.text = new Uint8Array(memory, NAMES_AT)
  }

  /** The main loop turns. */
  turn(): void {
    this.numbers[0] = this.turns + 1
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

  get names(): string {
    return new TextDecoder().decode(this.text.slice(0, this.numbers[1]))
  }
}

import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

/** The file that the methods of tests write to, read on as it grows. */
export class RunLog {
  private readonly read: string[] = []
  private readonly decoder = new StringDecoder()
  private offset = 0
  private rest = ''

  constructor(readonly file: string) {}

  /** What was written so far, in order; half a line is not there yet. */
  get lines(): readonly string[] {
    if (!existsSync(this.file)) return this.read
    const descriptor = openSync(this.file, 'r')
    const buffer = Buffer.alloc(1 << 16)
    for (let size; (size = readSync(descriptor, buffer, 0, buffer.length, this.offset)) > 0; this.offset += size) {
      const lines = (this.rest + this.decoder.write(buffer.subarray(0, size))).split('\n')
      this.rest = lines.pop() as string
      for (const line of lines) this.read.push(line)
    }
    closeSync(descriptor)
    return this.read
  }
}

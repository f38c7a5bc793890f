import type { Connection, Stream } from './client'

/** What `send` sends leaves in one piece: a socket takes longer for a list of small ones than to copy them together. */
export function inOneWrite<T>(connection: Connection, send: () => T): T {
  const { stream } = connection
  const pieces = new Pieces(stream)
  connection.stream = pieces
  try {
    return send()
  } finally {
    connection.stream = stream
    pieces.send()
  }
}

/** Stands in for a stream while a message is composed. */
class Pieces implements Stream {
  private readonly pieces: Uint8Array[] = []

  constructor(private readonly stream: Stream) {}

  get writable(): boolean {
    return this.stream.writable
  }

  write(piece: Uint8Array): boolean {
    this.pieces.push(piece)
    return true
  }

  destroy(): void {
    this.stream.destroy()
  }

  send(): void {
    if (this.writable && this.pieces.length > 0) this.stream.write(Buffer.concat(this.pieces))
  }
}

import { connect } from 'node:net'
import { join } from 'node:path'
import type { SessionKey } from '../../upstream/pg'

/** The code of a cancel request, which stands where a startup message has the version of the protocol. */
const CANCEL = 80_877_102

/**
 * Asks the server to cancel the statement of a session, over a separate connection. That needs no free slot, because the
 * server reads this one message, signals the session and closes the connection. Resolves when it is closed. The message is
 * not encrypted, as in libpq before version 17, because its key is of no use once the session has ended.
 */
export function requestCancel({ host = 'localhost', port = 5432, processID, secretKey }: SessionKey): Promise<void> {
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return Promise.resolve()
  const message = Buffer.alloc(16)
  message.writeInt32BE(16, 0)
  message.writeInt32BE(CANCEL, 4)
  message.writeInt32BE(processID, 8)
  message.writeInt32BE(secretKey, 12)
  return new Promise((resolve) => {
    const address = host.startsWith('/') ? { path: join(host, `.s.PGSQL.${port}`) } : { host, port }
    const socket = connect(address, () => socket.write(message))
    socket.setTimeout(PATIENCE, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
    socket.unref()
  })
}

/** ms */
const PATIENCE = 5_000

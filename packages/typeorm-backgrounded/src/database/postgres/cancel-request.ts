import { connect } from 'node:net'
import { join } from 'node:path'
import type { SessionKey } from '../../upstream/pg'

/** Of the protocol: it stands where other messages have its version. */
const CANCEL = 80_877_102

/**
 * Asks the server to end what a session is doing, in Postgres' own way: on a connection of its own, which needs no free
 * slot, since the server reads this one message and hangs up. Resolves when it has, which is after it has told the
 * session. As libpq did until 17 whatever `sslmode` is, unencrypted: the key is of no use once the session has ended.
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

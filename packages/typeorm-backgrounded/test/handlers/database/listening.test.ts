import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { PostgresConnection } from '../../../src/handlers/database/postgres/connection'
import { Notifications } from '../../../src/handlers/database/postgres/notifications'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

describe('The connection that listens for new jobs', () => {
  it('is tried ever more rarely while the server is down', async () => {
    let attempts = 0
    class Refused {
      connection = { stream: { destroy() {} } }
      on(): void {}
      end = () => Promise.resolve()
      query = () => Promise.resolve({ rows: [] })
      connect(): Promise<never> {
        attempts++
        return Promise.reject(new Error('refused'))
      }
    }
    const notifications = new Notifications('channel', silent)
    const connection: PostgresConnection = new PostgresConnection({
      Client: Refused,
      client: {},
      ownsSession: true,
      onLoss: () => void notifications.heal(connection),
    })
    await connection.connect(1_000).catch(() => {})
    await sleep(2_000)
    await notifications.close()
    expect(attempts).to.be.within(3, 6)
  })
})

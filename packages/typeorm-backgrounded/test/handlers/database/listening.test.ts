import { expect } from 'chai'
import { PostgresConnection } from '../../../src/database/postgres/connection'
import { Notifications } from '../../../src/handlers/database/postgres/notifications'
import { until } from '../../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

describe('The connection that listens for new jobs', () => {
  it('is tried less and less often while the server is down', async () => {
    let attempts = 0
    class Refused {
      static Query = class {}
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
      session: { isOwned: true },
      patience: 1_000,
      onLoss: () => void notifications.restore(connection),
    })
    const start = performance.now()
    await connection.connect(1_000).catch(() => {})
    await until(() => attempts >= 5)
    await notifications.close()
    expect(performance.now() - start, 'pauses of 0.1, 0.2, 0.4 and 0.8 s').to.be.greaterThan(1_400)
  })
})

import { expect } from 'chai'
import { PostgresConnection } from '../../../src/database/postgres/connection'
import { connectionOptions } from '../../../src/database/mariadb/connection-options'
import { consoleLogger } from '../../../src/logger'
import { mysqlOf } from '../../../src/upstream/mysql2'
import { OwnSession } from '../../../src/handlers/database/mariadb/session'
import type { Mysql } from '../../../src/upstream/mysql2'
import { mariaDb } from '../../support/stores'

describe('The connections of the library to a server', () => {
  it('are closed if they could not be prepared', async () => {
    let open = 0
    class Standby {
      static Query = class {}
      connection = { stream: { destroy: () => void open-- } }
      on(): void {}
      end = () => Promise.resolve()
      connect = () => Promise.resolve(open++)
      query = () => Promise.reject(new Error('cannot execute LISTEN during recovery'))
    }
    const connection = new PostgresConnection({
      Client: Standby,
      client: {},
      session: { isOwned: true },
      patience: 1_000,
    })
    await connection.connect(1_000).catch(() => {})
    await connection.connect(1_000).catch(() => {})
    expect(open).to.equal(0)
  })

  it('commit on a MariaDB with autocommit off, and use utf8mb4', async function () {
    await mariaDb.require(this)
    const { dataSource, drop } = await mariaDb.create([])
    dataSource.setOptions({ charset: 'latin1' })
    await dataSource.initialize()
    await dataSource.query('CREATE TABLE words (word VARCHAR(10) CHARACTER SET utf8mb4)')
    const mysql = mysqlOf(dataSource, consoleLogger)
    const unwilling: Mysql = {
      createConnection(options) {
        const client = mysql.createConnection(options)
        const connect = client.connect.bind(client)
        client.connect = (connected) => connect(() => client.query({ sql: 'SET autocommit = 0' }, connected))
        return client
      },
    }
    const session = new OwnSession(unwilling, connectionOptions(dataSource))
    await session.run('INSERT INTO words VALUES (?)', ['📮'], 5_000)
    expect(await dataSource.query('SELECT HEX(word) AS hex FROM words')).to.deep.equal([{ hex: 'F09F93AE' }])
    await session.close()
    await drop()
  })
})

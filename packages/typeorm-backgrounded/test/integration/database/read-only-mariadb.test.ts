import { expect } from 'chai'
import { createConnection, type Connection } from 'mysql2/promise'
import { DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, createWorker, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { MariaDbServer, requireMariaDbServer } from '../../support/mariadb-server'
import { silent } from '../../support/program'
import { ServerAddress } from '../../support/server-address'
import { until } from '../../support/worker-process'

let runs = 0

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static post(): void {
    runs++
  }
}

describe('A MariaDB that accepts no writes any more, and keeps its connections', function () {
  this.timeout(120_000)

  before(async function () {
    await requireMariaDbServer(this)
  })

  it('is left by idle workers and by calls for the new primary, which is logged once', async () => {
    const [old, next] = await Promise.all([MariaDbServer.start(), MariaDbServer.start()])
    const [onOld, onNext] = [await prepared(old), await prepared(next)]
    const address = await ServerAddress.of(old.address.port)
    const warnings: string[] = []
    const logger = { ...silent, warn: (_: object, message: string) => void warnings.push(message) }
    const attach = (port: number) => {
      const options = { host: '127.0.0.1', port, username: 'app', password: 'x', database: 'shop', synchronize: true }
      const dataSource = new DataSource({ type: 'mariadb', entities: [Letter], ...options })
      return withBackgrounded(dataSource, { handler: new DatabaseHandler({ lease: '1s' }), logger }).initialize()
    }
    await (await attach(next.address.port)).destroy()
    const dataSource = await attach(address.port)
    const worker = createWorker(dataSource)
    const finished = worker.run()
    await backgrounded(Letter).post()
    await until(() => runs === 1)

    address.leadTo(next.address.port)
    await onOld.query('SET GLOBAL read_only = 1')
    const workers = async () => (await onNext.query('SELECT 1 FROM backgrounded_workers'))[0] as unknown[]
    await until(async () => (await workers()).length === 1)
    await backgrounded(Letter).post()
    await until(() => runs === 2)
    expect(warnings.filter((message) => message.includes('accepts no writes'))).to.have.length(1)

    await worker.stop()
    await finished
    await dataSource.destroy()
    address.close()
    await Promise.all([onOld.end(), onNext.end()])
    await Promise.all([old.end(), next.end()])
  })
})

/** With a database of an ordinary user's: a server that is read-only still lets root write. */
async function prepared({ address }: MariaDbServer): Promise<Connection> {
  const connection = await createConnection({ host: address.host, port: address.port, user: address.username })
  await connection.query('CREATE DATABASE shop')
  for (const host of ['%', 'localhost']) {
    await connection.query(`CREATE USER app@'${host}' IDENTIFIED BY 'x'`)
    await connection.query(`GRANT ALL ON shop.* TO app@'${host}'`)
  }
  await connection.query('USE shop')
  return connection
}

import { expect } from 'chai'
import { type DataSource, Entity, type Logger, PrimaryGeneratedColumn } from 'typeorm'
import { NullHandler, withBackgrounded } from '../../src'
import { OwnConnection } from '../../src/outbox/own-connection'
import { tableDifferences } from '../../src/database/table-differences'
import { withPoolRunner } from '../../src/database/pool-runner'
import { mariaDb, postgres } from '../support/stores'
import { ServerAddress } from '../support/server-address'
import { until } from '../support/worker-process'

let isSent = () => {}
const logger: Logger = {
  logQuery: () => isSent(),
  logQueryError() {},
  logQuerySlow() {},
  logSchemaBuild() {},
  logMigration() {},
  log() {},
}

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
}

for (const store of [postgres, mariaDb]) {
  describe(`Work over a connection of the pool that a firewall has forgotten, on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let address: ServerAddress

    before(async function () {
      await store.require(this)
      const port = store === postgres ? (process.env.PGPORT ?? 5432) : (process.env.MYSQL_PORT ?? 3306)
      address = await ServerAddress.of(Number(port))
      ;({ dataSource, drop } = await store.create([Letter], {
        port: address.port,
        poolSize: 1,
        logging: ['query'],
        logger,
      }))
      await withBackgrounded(dataSource, { handler: new NullHandler() }).initialize()
    })

    after(async () => {
      address?.close()
      await drop?.()
    })

    const patience = { connect: 300, answer: 300, subject: 'Nothing has been done' }
    const works: Record<string, () => Promise<unknown>> = {
      'a load of rows': () => withPoolRunner(dataSource, ({ manager }) => manager.count(Letter), patience),
      "the outbox's own work": () =>
        new OwnConnection(dataSource, { withAdvice: (error) => error }, patience).query('SELECT 1'),
      'the comparison of tables': () => tableDifferences(dataSource, dataSource.entityMetadatas, patience),
    }
    for (const [name, work] of Object.entries(works)) {
      it(`is given up as an outage together with its connection, and the next has a new one: ${name}`, async () => {
        await dataSource.manager.save(new Letter())
        address.forgetAll()
        const error = await work().catch((each: unknown) => each)
        expect(error).to.have.property('code', 'STORE_UNAVAILABLE')
        await until(() =>
          work().then(
            () => true,
            () => false,
          ),
        )
      })
    }

    it('does not keep the data source from being destroyed', async () => {
      await dataSource.query('SELECT 1')
      address.forgetAll()
      const sent = new Promise<void>((resolve) => (isSent = () => setImmediate(resolve)))
      const long = { ...patience, answer: 600_000 }
      const compared = tableDifferences(dataSource, dataSource.entityMetadatas, long).catch((each: unknown) => each)
      await sent
      await dataSource.destroy()
      expect(await compared).to.have.property('code', 'STORE_UNAVAILABLE')
    })
  })
}

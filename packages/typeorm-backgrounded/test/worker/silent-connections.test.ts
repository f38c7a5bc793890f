import { expect } from 'chai'
import { type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { boundedRead } from '../../src/worker/bounded-read'
import { mariaDb, postgres } from '../support/stores'
import { ServerAddress } from '../support/server-address'

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
}

for (const store of [postgres, mariaDb]) {
  describe(`A load of rows over a connection that a firewall has forgotten, on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let address: ServerAddress

    before(async function () {
      await store.require(this)
      const port = store === postgres ? (process.env.PGPORT ?? 5432) : (process.env.MYSQL_PORT ?? 3306)
      address = await ServerAddress.of(Number(port))
      ;({ dataSource, drop } = await store.create([Letter], { port: address.port, poolSize: 1 }))
      await dataSource.initialize()
    })

    after(async () => {
      address?.close()
      await drop?.()
    })

    it('is given up as an outage, and so is the connection: the next one has a new one', async () => {
      await dataSource.manager.save(new Letter())
      address.forgetAll()
      const read = () => boundedRead(dataSource, (manager) => manager.count(Letter), 300)
      const error = await read().catch((each: unknown) => each)
      expect(error).to.have.property('code', 'STORE_UNAVAILABLE')
      const begin = Date.now()
      let count: number | undefined
      while (count === undefined && Date.now() - begin < 5_000) count = await read().catch(() => undefined)
      expect(count).to.equal(1)
    })
  })
}

import { expect } from 'chai'
import type { DataSource } from 'typeorm'
import { OwnConnection } from '../../src/outbox/own-connection'
import { mariaDb, postgres } from '../support/stores'

const stores = [
  { ...postgres, setReadOnly: 'SET default_transaction_read_only = on' },
  { ...mariaDb, setReadOnly: 'SET SESSION TRANSACTION READ ONLY' },
]

for (const store of stores) {
  describe(`The outbox on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ;({ dataSource, drop } = await store.create([], { poolSize: 1 }))
      await dataSource.initialize()
      await dataSource.query('CREATE TABLE notes (id integer)')
    })
    afterEach(async () => {
      await drop()
    })

    it('does not stay with a connection of the pool whose server accepts no writes any more', async () => {
      await dataSource.query(store.setReadOnly)
      const connection = new OwnConnection(dataSource, { withAdvice: (error) => error })
      const insert = () => connection.query('INSERT INTO notes VALUES (1)')
      const error = await insert().catch((reason: unknown) => String(reason))
      expect(error).to.match(/read-only|READ ONLY/)
      await insert()
      expect(await dataSource.query('SELECT id FROM notes')).to.deep.equal([{ id: 1 }])
    })
  })
}

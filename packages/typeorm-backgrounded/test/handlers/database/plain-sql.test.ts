import { expect } from 'chai'
import { Column, type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, drain, withBackgrounded } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { silent } from '../../support/program'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'

const ran: unknown[][] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded() post(...args: unknown[]): void {
    ran.push([this.id, ...args])
  }
}

for (const store of [postgres, mariaDb, sqliteFile]) {
  describe(`a row of the job table that plain SQL has written on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ran.length = 0
      ;({ dataSource, drop } = await store.create([Letter]))
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
      await dataSource.manager.save([new Letter(), new Letter()])
    })
    afterEach(() => drop())

    const insert = (row: Record<string, string>) => {
      const names = Object.keys(row).map((name) => dataSource.driver.escape(name))
      const values = Object.values(row).map((value) => `'${value}'`)
      return dataSource.query(`INSERT INTO backgrounded_jobs (${names.join(', ')}) VALUES (${values.join(', ')})`)
    }

    it('runs even if it has only the entity, the key and the method', async () => {
      await insert({ entity: 'Letter', key: '{"id":1}', method: 'post' })
      await insert({ entity: 'Letter', key: '{"id":2}', method: 'post', args: '["dear",{"reader":true}]' })
      expect(await drain(dataSource, { throwOnFailure: true })).to.include({ completed: 2, failed: 0 })
      expect(ran.sort()).to.deep.equal([[1], [2, 'dear', { reader: true }]])
      expect(await dataSource.manager.count(BackgroundedJob)).to.equal(0)
    })
  })
}

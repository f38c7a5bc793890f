import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  runInTransaction,
  StorageDriver,
} from 'typeorm-transactional'
import { Backgrounded, settled, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

@Entity()
class Invoice {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @Backgrounded() print(): void {}
  declare printBackgrounded: InBackground<Invoice['print']>
}

describe('typeorm-transactional', () => {
  for (const order of ['before', 'after']) {
    it(`shows its transactions to background calls when added ${order} the plugin`, async () => {
      initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE })
      const handler = new FakeHandler()
      const dataSource: DataSource = inMemory([Invoice])
      if (order === 'before') addTransactionalDataSource(dataSource)
      withBackgrounded(dataSource, { handler })
      if (order === 'after') addTransactionalDataSource(dataSource)
      await dataSource.initialize()
      const invoices = dataSource.getRepository(Invoice)
      const invoice = await invoices.save(Object.assign(new Invoice(), { title: 'a' }))

      await runInTransaction(async () => {
        expect((await invoice.printBackgrounded()).state).to.equal('deferred')
        throw new Error('roll back')
      }).catch(() => {})
      await settled(dataSource)
      expect(handler.jobs).to.have.length(0)

      await runInTransaction(() => invoice.printBackgrounded())
      await settled(dataSource)
      expect(handler.jobs).to.have.length(1)
      deleteDataSourceByName('default')
      await dataSource.destroy()
    })
  }
})

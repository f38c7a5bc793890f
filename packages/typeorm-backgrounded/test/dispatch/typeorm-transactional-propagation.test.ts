import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type Repository } from 'typeorm'
import {
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  Propagation,
  runInTransaction,
  StorageDriver,
} from 'typeorm-transactional'
import { Backgrounded, settled, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres } from '../support/stores'

@Entity()
class Ticket {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @Backgrounded() print(_word?: string): void {}
  declare printBackgrounded: InBackground<Ticket['print']>
}

for (const store of [postgres, mariaDb]) {
  describe(`the transaction that typeorm-transactional shows: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let handler: FakeHandler
    let tickets: Repository<Ticket>
    let known: Ticket

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE })
      handler = new FakeHandler()
      ;({ dataSource, drop } = await store.create([Ticket]))
      addTransactionalDataSource(withBackgrounded(dataSource, { handler, logger: silent }))
      await dataSource.initialize()
      tickets = dataSource.getRepository(Ticket)
      known = await tickets.save(ticket('known'))
    })
    afterEach(async () => {
      deleteDataSourceByName('default')
      await drop?.()
    })

    const ticket = (title: string) => Object.assign(new Ticket(), { title })
    const propagated = <T>(propagation: Propagation, work: () => Promise<T>) => runInTransaction(work, { propagation })
    const rolledBack = (work: () => Promise<unknown>) =>
      runInTransaction(async () => {
        await work()
        throw new Error('roll back')
      }).catch((error: Error) => expect(error.message).to.equal('roll back'))
    const sent = async () => {
      await settled(dataSource)
      return handler.jobs.map(({ args }) => args[0])
    }

    it('is not followed by the rows and calls of a NOT_SUPPORTED method', async () => {
      await rolledBack(async () => {
        await tickets.save(ticket('outer'))
        await propagated(Propagation.NOT_SUPPORTED, async () => {
          const row = await tickets.save(ticket('inner'))
          await row.printBackgrounded('saved here')
          await known.printBackgrounded('from outside')
        })
        await known.printBackgrounded('never')
      })
      expect(await sent()).to.deep.equal(['saved here', 'from outside'])
      expect(await tickets.findBy({ title: 'inner' })).to.have.length(1)
    })

    it('is followed at the very start of a method, before anything is awaited', async () => {
      await rolledBack(() => propagated(Propagation.NOT_SUPPORTED, () => known.printBackgrounded('kept')))
      expect(await sent()).to.deep.equal(['kept'])
    })

    it('is followed by a row that the outer transaction loaded and the inner block saved', async () => {
      await rolledBack(async () => {
        const row = await tickets.findOneByOrFail({ id: known.id })
        await propagated(Propagation.NOT_SUPPORTED, async () => {
          await tickets.save(Object.assign(row, { title: 'changed' }))
          await row.printBackgrounded('kept')
        })
      })
      expect(await sent()).to.deep.equal(['kept'])
    })

    it('is followed again when the block without a transaction has ended', async () => {
      await runInTransaction(async () => {
        await propagated(Propagation.NOT_SUPPORTED, () => Promise.resolve())
        expect(await known.printBackgrounded('deferred')).to.have.property('state', 'deferred')
      })
      expect(await sent()).to.deep.equal(['deferred'])
    })

    for (const propagation of [Propagation.REQUIRES_NEW, Propagation.NESTED]) {
      it(`is followed if it is a new transaction: ${propagation}`, async () => {
        await rolledBack(async () => {
          await propagated(propagation, () => known.printBackgrounded('inner'))
          await known.printBackgrounded('never')
        })
        expect(await sent()).to.deep.equal(['inner'])
      })
    }

    for (const propagation of [Propagation.REQUIRED, Propagation.SUPPORTS, Propagation.MANDATORY]) {
      it(`is followed if it is the outer transaction: ${propagation}`, async () => {
        await rolledBack(() => propagated(propagation, () => known.printBackgrounded('never')))
        expect(await sent()).to.deep.equal([])
      })
    }

    it('does not affect the callback of dataSource.transaction', async () => {
      await dataSource
        .transaction(async () => {
          await known.printBackgrounded('never')
          await propagated(Propagation.REQUIRES_NEW, () => known.printBackgrounded('inner'))
          await known.printBackgrounded('never')
          throw new Error('roll back')
        })
        .catch(() => {})
      await runInTransaction(async () => {
        await dataSource
          .transaction(async () => {
            await known.printBackgrounded('never')
            await propagated(Propagation.NOT_SUPPORTED, () => known.printBackgrounded('free'))
            throw new Error('roll back')
          })
          .catch(() => {})
      })
      expect(await sent()).to.deep.equal(['inner', 'free'])
    })
  })
}

import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type EntitySubscriberInterface } from 'typeorm'
import { Backgrounded, backgrounded, drain, withBackgrounded, type InBackground } from '../../src'
import { edgeOf } from '../../src/dispatch/savepoints'
import { DatabaseHandler } from '../../src/handlers/database'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

const ran: string[] = []

@Entity()
class Sack {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded()
  carry(word: string): void {
    ran.push(`${this.label} ${word}`)
  }
  declare carryBackgrounded: InBackground<Sack['carry']>
}

describe('The edges of a transaction', () => {
  const edges: [sql: string, kind: string | undefined, name?: string][] = [
    ['COMMIT', 'commit'],
    [' commit work -- now', 'commit'],
    ['/* app */ COMMIT', 'commit'],
    ['-- app\nEND', 'commit'],
    ["COMMIT PREPARED 'x'", undefined],
    ['ROLLBACK', 'rollback'],
    ['ABORT', 'rollback'],
    ["ROLLBACK PREPARED 'x'", undefined],
    ['SAVEPOINT typeorm_1', 'savepoint', 'typeorm_1'],
    ['savepoint "My Point"', 'savepoint', 'my point'],
    ['RELEASE typeorm_1', 'release', 'typeorm_1'],
    ['RELEASE SAVEPOINT `a`', 'release', 'a'],
    ['ROLLBACK TO typeorm_2', 'rollbackTo', 'typeorm_2'],
    ['ROLLBACK TRANSACTION TO SAVEPOINT a', 'rollbackTo', 'a'],
    ['CREATE TABLE a (b int)', 'definition'],
    ['SET autocommit = 1', 'definition'],
    ['SET LOCAL lock_timeout = 1', undefined],
    ['SELECT 1', undefined],
    ['commitment', undefined],
    [`${'/* a */ '.repeat(10_000)}SELECT 1`, undefined],
  ]
  for (const [sql, kind, name] of edges) {
    it(`are distinguished from other statements: ${sql.slice(0, 40)}`, () => {
      expect(edgeOf(sql)).to.deep.equal(kind && (name === undefined ? { kind } : { kind, name }))
    })
  }
})

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`A call in a transaction on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ran.length = 0
      ;({ dataSource, drop } = await store.create([Sack]))
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    })
    afterEach(() => drop())

    const sack = (label: string) => Object.assign(new Sack(), { label })
    const drained = async () => {
      await drain(dataSource)
      return [...ran].sort()
    }

    it("is part of it when the application's own hook makes it before the commit", async () => {
      const row = await dataSource.manager.save(sack('a'))
      const hook: EntitySubscriberInterface = {
        async beforeTransactionCommit({ manager }) {
          await manager.query('SELECT 1')
          await backgrounded(row, { manager }).carry('hook')
        },
      }
      dataSource.subscribers.push(hook)
      await dataSource.transaction((manager) => manager.update(Sack, { id: row.id }, { label: 'b' }))
      dataSource.subscribers.splice(dataSource.subscribers.indexOf(hook), 1)
      expect(await drained()).to.deep.equal(['b hook'])
    })

    it('is committed by a CREATE TABLE that ends the transaction, together with the rows before it', async () => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const row = await runner.manager.save(sack('a'))
      await row.carryBackgrounded('before')
      await runner.query('CREATE TABLE made_meanwhile (id int)')
      await row.carryBackgrounded('after')
      await runner.rollbackTransaction()
      await runner.release()
      const isCommitted = (await dataSource.manager.countBy(Sack, { label: 'a' })) === 1
      expect(isCommitted).to.equal(store === mariaDb)
      expect(await drained()).to.deep.equal(isCommitted ? ['a before'] : [])
    })

    it('is stored even if it is not awaited, in a savepoint too', async () => {
      const row = await dataSource.manager.save(sack('a'))
      await dataSource.transaction(async (manager) => {
        void row.carryBackgrounded('first')
        await manager.transaction(async (inner) => {
          await inner.query('SELECT 1')
          void row.carryBackgrounded('second')
        })
        void row.carryBackgrounded('third')
      })
      expect(await drained()).to.deep.equal(['a first', 'a second', 'a third'])
    })
  })
}

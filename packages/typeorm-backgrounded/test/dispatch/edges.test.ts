import { expect } from 'chai'
import {
  Column,
  Entity,
  PrimaryGeneratedColumn,
  type DataSource,
  type EntityManager,
  type EntitySubscriberInterface,
} from 'typeorm'
import { Backgrounded, backgrounded, drain, withBackgrounded, type InBackground } from '../../src'
import { edgeOf } from '../../src/dispatch/transaction-edges'
import type { Dialect } from '../../src/database/dialect'
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
  const edges: [dialect: Dialect, sql: string, kind: string | undefined, name?: string][] = [
    ['postgres', 'COMMIT', 'commit'],
    ['postgres', ' commit work -- now', 'commit'],
    ['postgres', '/* app */ COMMIT', 'commit'],
    ['postgres', 'COMMIT /* app */', 'commit'],
    ['postgres', 'COMMIT;', 'commit'],
    ['postgres', '-- app\nEND', 'commit'],
    ['postgres', "COMMIT PREPARED 'x'", 'unclear'],
    ['postgres', 'ROLLBACK', 'rollback'],
    ['postgres', 'ABORT', 'rollback'],
    ['postgres', "ROLLBACK PREPARED 'x'", 'unclear'],
    ['postgres', "PREPARE TRANSACTION 'x'", 'unclear'],
    ['postgres', 'SAVEPOINT typeorm_1', 'savepoint', 'typeorm_1'],
    ['postgres', 'savepoint "My ""Point"""', 'savepoint', 'My "Point"'],
    ['mariadb', 'savepoint `My Point`', 'savepoint', 'my point'],
    ['postgres', 'SAVEPOINT Étape', 'savepoint', 'étape'],
    ['postgres', 'SAVEPOINT /* before */ x', 'savepoint', 'x'],
    ['postgres', '/* a /* b */ c */ ; SAVEPOINT x', 'savepoint', 'x'],
    ['sqlite', "SAVEPOINT 'x'", 'savepoint', 'x'],
    ['sqlite', 'SAVEPOINT [x y]', 'savepoint', 'x y'],
    ['mariadb', '# note\nSAVEPOINT x', 'savepoint', 'x'],
    ['mariadb', '/*!50000 SAVEPOINT x */', 'unclear'],
    ['postgres', 'SELECT 1; SAVEPOINT x', 'unclear'],
    ['postgres', 'ROLLBACK TO SAVEPOINT x; RELEASE SAVEPOINT x', 'unclear'],
    ['postgres', "INSERT INTO a VALUES ('b; c')", undefined],
    ['postgres', 'RELEASE typeorm_1', 'release', 'typeorm_1'],
    ['mariadb', 'RELEASE SAVEPOINT `a`', 'release', 'a'],
    ['postgres', 'ROLLBACK TO typeorm_2', 'rollbackTo', 'typeorm_2'],
    ['postgres', 'ROLLBACK TRANSACTION TO SAVEPOINT a', 'rollbackTo', 'a'],
    ['postgres', 'ROLLBACK -- back\n TO /* to */ SAVEPOINT /* x */ a', 'rollbackTo', 'a'],
    ['postgres', 'ROLLBACK TO savepoint', 'rollbackTo', 'savepoint'],
    ['mariadb', 'CREATE TABLE a (b int)', 'unclear'],
    ['postgres', 'CREATE TABLE a (b int)', undefined],
    ['mariadb', 'CALL book()', 'unclear'],
    ['mariadb', 'ANALYZE TABLE a', 'unclear'],
    ['mariadb', 'SET autocommit = 1', 'unclear'],
    ['mariadb', 'SET @x = 1, autocommit = 1', 'unclear'],
    ['mariadb', 'SET NAMES utf8mb4', undefined],
    ['mariadb', '(SELECT 1)', undefined],
    ['mariadb', 'SELECT 1; COMMIT', 'unclear'],
    ['postgres', 'SET LOCAL lock_timeout = 1', undefined],
    ['postgres', 'SET LOCAL search_path = tenant', 'unclear'],
    ['postgres', 'SET ROLE app', 'unclear'],
    ['postgres', 'SELECT 1', undefined],
    ['postgres', 'commitment', undefined],
    ['postgres', `${'/* a */ '.repeat(10_000)}SELECT 1`, undefined],
    ['postgres', `${'/* '.repeat(100_000)}SELECT 1`, undefined],
  ]
  for (const [dialect, sql, kind, name] of edges) {
    it(`are distinguished from other statements: ${sql.slice(0, 60)} (${dialect})`, () => {
      expect(edgeOf(sql, dialect)).to.deep.equal(kind && (name === undefined ? { kind } : { kind, name }))
    })
  }
})

const savepoints = [
  { on: [sqliteFile, postgres, mariaDb], set: 'SAVEPOINT étape', back: 'ROLLBACK TO SAVEPOINT étape' },
  { on: [sqliteFile, postgres, mariaDb], set: 'SAVEPOINT /* a */ x', back: 'ROLLBACK /* b */ TO SAVEPOINT /* c */ x' },
  { on: [postgres], set: 'SELECT 1; SAVEPOINT x', back: 'ROLLBACK TO SAVEPOINT x; RELEASE SAVEPOINT x' },
  { on: [postgres], set: '/* a /* b */ c */ SAVEPOINT x', back: '; ROLLBACK TO SAVEPOINT x' },
  { on: [mariaDb], set: '# note\nSAVEPOINT x', back: '# note\nROLLBACK TO SAVEPOINT x' },
  { on: [mariaDb], set: '/*!50000 SAVEPOINT x */', back: '/*!50000 ROLLBACK TO SAVEPOINT x */' },
  { on: [sqliteFile], set: "SAVEPOINT 'x'", back: 'ROLLBACK TO [x]' },
]

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

    it('leaves the statements of the application in the order in which they were sent', async () => {
      const row = await dataSource.manager.save(sack('a'))
      const insert = (label: string) => `INSERT INTO sack (label) VALUES ('${label}')`
      await dataSource.transaction(async (manager) => {
        await row.carryBackgrounded('before')
        await Promise.all([
          manager.query('SAVEPOINT s'),
          manager.query(insert('rolled back')),
          manager.query('ROLLBACK TO SAVEPOINT s'),
          manager.query(insert('kept')),
        ])
      })
      const labels = (await dataSource.manager.find(Sack)).map(({ label }) => label)
      expect(labels.sort()).to.deep.equal(['a', 'kept'])
      expect(await drained()).to.deep.equal(['a before'])
    })

    it('is sent in no group while a statement of the application is on its way', async () => {
      const row = await dataSource.manager.save(sack('a'))
      let atOnce = 0
      let most = 0
      dataSource.subscribers.push({
        beforeQuery: () => void (most = Math.max(most, ++atOnce)),
        afterQuery: () => void atOnce--,
      })
      await dataSource.transaction(async (manager) => {
        void row.carryBackgrounded('first')
        const calls = Array.from({ length: 600 }, (_, index) => row.carryBackgrounded(String(index)))
        await manager.query('SELECT 1')
        await manager.query('SELECT 2')
        await Promise.all(calls)
      })
      expect(most).to.equal(1)
      expect(await drained()).to.have.length(601)
    })

    for (const { on, set, back } of savepoints) {
      if (!on.includes(store)) continue
      it(`follows a savepoint that is written so: ${set}`, async () => {
        const put = async (manager: EntityManager, label: string) => {
          const row = await manager.save(sack(label))
          await row.carryBackgrounded('once')
        }
        await dataSource.transaction(async (manager) => {
          await put(manager, 'before')
          await manager.query(set)
          await put(manager, 'inside')
          await manager.query(back)
          await put(manager, 'after')
        })
        expect(await dataSource.manager.count(Sack)).to.equal(2)
        expect(await drained()).to.deep.equal(['after once', 'before once'])
      })
    }

    it('is kept when a ROLLBACK TO fails, or fails with the transaction', async () => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const row = await runner.manager.save(sack('a'))
      await row.carryBackgrounded('before')
      await runner.query('ROLLBACK TO SAVEPOINT no_such_one').catch(() => {})
      await runner.commitTransaction()
      await runner.release()
      const isCommitted = (await dataSource.manager.count(Sack)) === 1
      expect(isCommitted).to.equal(store !== postgres)
      expect(await drained()).to.deep.equal(isCommitted ? ['a before'] : [])
    })

    it('is committed with what a procedure commits', async function () {
      if (store !== mariaDb) this.skip() // the others let no procedure commit in the middle of a transaction
      await dataSource.query('CREATE PROCEDURE book() BEGIN COMMIT; END')
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const row = await runner.manager.save(sack('a'))
      await row.carryBackgrounded('before')
      await runner.query('CALL book()')
      await runner.rollbackTransaction()
      await runner.release()
      expect(await drained()).to.deep.equal(['a before'])
    })
  })
}

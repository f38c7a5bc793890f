import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, SelectQueryBuilder, type DataSource } from 'typeorm'
import { Backgrounded, UnsupportedVersionError, drain, withBackgrounded, type InBackground } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { installedVersion } from '../../src/upstream/installed-version'
import { mariaDb, postgres, sqliteFile, sqliteInMemory, type TestStore } from '../support/stores'

const ran: string[] = []

@Entity()
class Seal {
  @PrimaryGeneratedColumn() id!: number
  @Column() label!: string

  @Backgrounded()
  press(): void {
    ran.push(this.label)
  }
  declare pressBackgrounded: InBackground<Seal['press']>
}

describe('A member of TypeORM that its documentation does not promise', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>
  const warnings: string[] = []
  const logger = {
    debug() {},
    info() {},
    warn: (_: object, message: string) => void warnings.push(message),
    error() {},
  }

  /** Attaches to a data source whose driver lacks `member`. */
  async function attachWithout(member: string, store: TestStore, context: Mocha.Context) {
    await store.require(context)
    ;({ dataSource, drop } = await store.create([Seal]))
    withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger })
    await dataSource.initialize()
    hide(dataSource.driver, member, undefined)
    withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger })
  }

  const restores: (() => void)[] = []
  function hide(object: object, member: string, value: unknown) {
    const own = Object.getOwnPropertyDescriptor(object, member) as PropertyDescriptor
    Object.defineProperty(object, member, { value, writable: true, configurable: true })
    restores.push(() => Object.defineProperty(object, member, own))
  }

  beforeEach(() => {
    ran.length = 0
    warnings.length = 0
  })
  afterEach(async () => {
    for (const restore of restores.splice(0)) restore()
    await drop?.()
  })

  for (const [member, store] of [
    ['postgres', postgres],
    ['mysql', mariaDb],
    ['sqlite', sqliteFile],
  ] as const) {
    it(`is warned about once when driver.${member} is missing, and jobs run without it on ${store.name}`, async function () {
      await attachWithout(member, store, this)
      const seal = await dataSource.manager.save(Object.assign(new Seal(), { label: 'outside' }))
      await seal.pressBackgrounded()
      await dataSource.transaction(async (manager) => {
        const inside = await manager.save(Object.assign(new Seal(), { label: 'inside' }))
        await inside.pressBackgrounded()
      })
      await drain(dataSource, { throwOnFailure: true })
      expect(ran).to.have.members(['outside', 'inside'])
      expect(warnings).to.have.length(1)
      expect(warnings[0]).to.match(new RegExp(`^TypeORM ${installedVersion('typeorm')} has no driver\\.${member}: `))
    })
  }

  it('ends the attachment with its name and the version when SQLite can do nothing without it', async function () {
    let failure: unknown
    await attachWithout('databaseConnection', sqliteInMemory, this).catch((error: unknown) => (failure = error))
    expect(failure).to.be.instanceOf(UnsupportedVersionError)
    expect(String(failure)).to.contain(`TypeORM ${installedVersion('typeorm')} has no driver.databaseConnection`)
  })

  interface Builder {
    getQueryAndParameters?: unknown
    loadRawResults: (runner: unknown) => unknown
  }
  const builders = SelectQueryBuilder.prototype as unknown as Builder & { getMany: () => unknown }

  it('is warned about once when a query builder does not send the SQL that it is given, and rows are loaded without it', async () => {
    const { loadRawResults } = builders
    hide(builders, 'loadRawResults', function (this: Builder, runner: unknown) {
      delete this.getQueryAndParameters
      return loadRawResults.call(this, runner)
    })
    await runOnSqlite()
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.contain(`TypeORM ${installedVersion('typeorm')} loads rows in another way`)
  })

  it('is warned about once when a query builder does not take the rows that it is given', async () => {
    const { getMany } = builders
    hide(builders, 'getMany', function (this: Builder) {
      if (Object.hasOwn(this, 'loadRawResults')) throw new Error('no such member')
      return getMany.call(this)
    })
    await runOnSqlite()
    expect(warnings).to.have.length(1)
  })

  async function runOnSqlite() {
    ;({ dataSource, drop } = await sqliteInMemory.create([Seal]))
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger }).initialize()
    const seal = await dataSource.manager.save(Object.assign(new Seal(), { label: 'found' }))
    await seal.pressBackgrounded()
    await drain(dataSource, { throwOnFailure: true })
    expect(ran).to.deep.equal(['found'])
  }
})

import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type Logger } from 'typeorm'
import { Backgrounded, drain, reference, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

let given: Label[][] = []

@Entity()
class Label {
  @PrimaryGeneratedColumn() id!: number
  @Column() text!: string

  @Backgrounded() collect(...lists: Label[][]): void {
    given = lists
  }
  declare collectBackgrounded: InBackground<Label['collect']>
}

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`rows among the arguments of a job: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let handler: FakeHandler
    let selects: number

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      given = []
      handler = new FakeHandler()
      const logger = { logQuery: (query: string) => void (selects += query.startsWith('SELECT') ? 1 : 0) }
      ;({ dataSource, drop } = await store.create([Label], { logger: { ...noLogger, ...logger }, logging: ['query'] }))
      await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
    })
    afterEach(() => drop?.())

    const noLogger: Logger = {
      logQuery() {},
      logQueryError() {},
      logQuerySlow() {},
      logSchemaBuild() {},
      logMigration() {},
      log() {},
    }
    const labels = (count: number) =>
      dataSource.manager.save(
        Array.from({ length: count }, (_, index) => Object.assign(new Label(), { text: `${index}` })),
      )
    const run = async () => {
      selects = 0
      const since = performance.now()
      const counts = await drain(dataSource)
      return { counts, time: performance.now() - since }
    }

    it('are loaded once and are one object, however often a row occurs', async () => {
      const [row, other] = (await labels(2)) as [Label, Label]
      const many = Array.from({ length: 20_000 }, (_, index) => (index === 7 ? other : row))
      await row.collectBackgrounded(many, [reference(Label, row.id)])
      const { counts, time } = await run()
      expect(counts.completed).to.equal(1)
      expect(selects).to.be.lessThan(5)
      expect(time).to.be.lessThan(3_000)
      const [list = [], [alone] = []] = given
      expect(list.map(({ id }) => id)).to.deep.equal(many.map(({ id }) => id))
      expect(new Set(list).size).to.equal(2)
      expect(list[0]).to.equal(alone).and.to.be.instanceOf(Label)
    })

    it('are loaded in groups, in the order of the arguments', async () => {
      const rows = await labels(1_200)
      await (rows[0] as Label).collectBackgrounded(rows, [...rows].reverse())
      expect((await run()).counts.completed).to.equal(1)
      expect(selects).to.be.lessThan(10)
      expect(given[0]?.map(({ text }) => text)).to.deep.equal(rows.map(({ text }) => text))
      expect(given[1]?.map(({ text }) => text)).to.deep.equal(rows.map(({ text }) => text).reverse())
    })

    it('discard the job when they are gone', async () => {
      const [row] = (await labels(1)) as [Label]
      const gone = Array.from({ length: 3_000 }, (_, index) => reference(Label, 10_000 + index))
      await row.collectBackgrounded(gone)
      expect((await run()).counts.discarded).to.equal(1)
      expect(selects).to.be.lessThan(600)
    })
  })
}

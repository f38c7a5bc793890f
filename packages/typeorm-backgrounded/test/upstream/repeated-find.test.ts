import { expect } from 'chai'
import {
  AfterLoad,
  ChildEntity,
  Column,
  Entity,
  In,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  RelationId,
  TableInheritance,
  VirtualColumn,
  type DataSource,
  type FindManyOptions,
  type ObjectLiteral,
  type Relation,
} from 'typeorm'
import { RepeatedFind } from '../../src/upstream/repeated-find'
import { keyListOf } from '../../src/worker/reload/key-lists'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
}

@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind', length: 20 } })
class Item {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @ManyToOne(() => Shelf, { eager: true, nullable: true }) shelf!: Relation<Shelf> | null
  @RelationId('shelf') shelfId!: number | null
  @VirtualColumn({ query: (alias) => `SELECT ${alias}.id + 1000` }) later!: number
  loads = 0
  @AfterLoad() loaded(): void {
    this.loads++
  }
}

@ChildEntity()
class Record extends Item {
  @Column({ nullable: true }) speed!: number
}

@Entity()
class Word {
  @PrimaryColumn({ length: 50 }) text!: string
}

@Entity()
class Token {
  @PrimaryGeneratedColumn('uuid') id!: string
}

const join: FindManyOptions<ObjectLiteral> = { relationLoadStrategy: 'join', cache: false }

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`a repeated find on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create([Shelf, Item, Record, Word, Token]))
      await dataSource.initialize()
    })
    after(() => drop?.())

    function repeated(entity: new () => ObjectLiteral, property: string, options = join) {
      const find = new RepeatedFind(
        dataSource,
        dataSource.getMetadata(entity),
        property,
        options,
        keyListOf(dataSource),
      )
      return async (values: readonly (string | number)[]) => {
        const runner = dataSource.createQueryRunner('master')
        try {
          return byKey(property, await find.run(runner, values))
        } finally {
          await runner.release()
        }
      }
    }

    const plain = async (entity: new () => ObjectLiteral, property: string, values: unknown[]) =>
      byKey(property, await dataSource.manager.find(entity, { ...join, where: { [property]: In(values) } }))

    it('returns the same as a find, for lists of every length, one after the other', async () => {
      const shelf = await dataSource.manager.save(Object.assign(new Shelf(), { name: 'top' }))
      const made = Array.from({ length: 9 }, (_, index) =>
        index % 2 === 0
          ? Object.assign(new Record(), { name: `record ${index}`, shelf, speed: 33 })
          : Object.assign(new Item(), { name: `item ${index}`, shelf: null }),
      )
      await dataSource.manager.save(made)
      const ids = made.map(({ id }) => id)
      const find = repeated(Item, 'id')
      const findRecords = repeated(Record, 'id')
      for (const length of [3, 1, 5, 3, 9, 1]) {
        const some = ids.slice(0, length)
        const found = await find(some)
        expect(found).to.deep.equal(await plain(Item, 'id', some))
        expect(found.map(({ loads }) => loads as number)).to.deep.equal(some.map(() => 1))
        expect(found).to.have.length(length)
        expect(await findRecords(some)).to.deep.equal(await plain(Record, 'id', some))
      }
      const id = Number(ids[0])
      const record = (await find(ids)).find((row) => row.id === id)
      expect(record).to.be.instanceOf(Record)
      expect(record).to.include({ shelfId: shelf.id, speed: 33 })
      expect(Number(record?.later)).to.equal(id + 1000)
    })

    it('leaves out rows that are gone', async () => {
      const { id } = await dataSource.manager.save(Object.assign(new Shelf(), { name: 'low' }))
      expect((await repeated(Shelf, 'id')([id, 99_999, 99_998])).map((row) => row.id as number)).to.deep.equal([id])
      expect(await repeated(Shelf, 'id')([99_999])).to.deep.equal([])
    })

    it('finds keys of text, whatever is in it', async () => {
      const texts = ['plain', 'a "quote"', "an 'apostrophe'", 'back\\slash', '{a,b}', '[1]', 'ünïcödé 🎉', '007', '%']
      await dataSource.manager.insert(
        Word,
        texts.map((text) => ({ text })),
      )
      const find = repeated(Word, 'text')
      expect((await find(texts)).map(({ text }) => text as string)).to.have.members(texts)
      for (const text of texts) expect(await find([text])).to.have.length(1)
    })

    it('finds UUIDs', async () => {
      const tokens = await dataSource.manager.save([new Token(), new Token(), new Token()])
      const ids = tokens.map(({ id }) => id)
      expect((await repeated(Token, 'id')(ids)).map(({ id }) => id as string)).to.have.members(ids)
    })

    it('runs in the transaction of its runner', async () => {
      const runner = dataSource.createQueryRunner('master')
      try {
        await runner.startTransaction()
        const { id } = await runner.manager.save(Object.assign(new Shelf(), { name: 'not committed' }))
        const find = new RepeatedFind(dataSource, dataSource.getMetadata(Shelf), 'id', join, keyListOf(dataSource))
        expect(await find.run(runner, [id])).to.have.length(1)
        await runner.rollbackTransaction()
        expect(await find.run(runner, [id])).to.have.length(0)
      } finally {
        await runner.release()
      }
    })
  })
}

function byKey(property: string, rows: ObjectLiteral[]): ObjectLiteral[] {
  return rows.sort((a, b) => (a[property] < b[property] ? -1 : 1))
}

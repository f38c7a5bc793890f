import { expect } from 'chai'
import { ChildEntity, Column, Entity, PrimaryGeneratedColumn, TableInheritance, type DataSource } from 'typeorm'
import { AfterCommitBackgrounded, settled, withBackgrounded } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

const asked: string[] = []

@Entity()
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
class Animal {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string

  @AfterCommitBackgrounded({ on: 'update' }) look(): void {}
}

@ChildEntity()
class Dog extends Animal {
  @Column({ nullable: true }) breed!: string

  @AfterCommitBackgrounded({
    on: 'update',
    when: (dog: Dog) => asked.push(`${dog.constructor.name} ${dog.name} ${dog.breed}`) > 0,
  })
  bark(): void {}
}

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`methods after a commit of a row that is saved as one of its parent class: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    const handler = new FakeHandler()

    beforeEach(async function () {
      await store.require(this)
      asked.length = 0
      ;({ dataSource, drop } = await store.create([Animal, Dog]))
      await withBackgrounded(dataSource, { handler, outbox: false, logger: silent }).initialize()
    })
    afterEach(() => drop?.())

    const saves: [title: string, save: (row: { id: number; name: string }) => Promise<unknown>][] = [
      ['a plain object', (row) => dataSource.getRepository(Animal).save(row)],
      ['an instance of the parent class', (row) => dataSource.manager.save(Object.assign(new Animal(), row))],
    ]
    for (const [title, save] of saves) {
      it(`are those of its own class: ${title}`, async () => {
        const { id } = await dataSource.manager.save(Object.assign(new Dog(), { name: 'old', breed: 'pug' }))
        await settled(dataSource)
        handler.clear()
        await save({ id, name: 'new' })
        await settled(dataSource)
        const jobs = handler.jobs.map(({ entity, key, method }) => [entity, key?.id, method])
        expect(jobs).to.have.deep.members([
          ['Dog', id, 'look'],
          ['Dog', id, 'bark'],
        ])
        expect(asked).to.deep.equal(['Dog new pug'])
      })
    }
  })
}

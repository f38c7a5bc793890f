import { expect } from 'chai'
import {
  ChildEntity,
  Column,
  Entity,
  JoinTable,
  ManyToMany,
  PrimaryGeneratedColumn,
  TableInheritance,
  type DataSource,
  type Relation,
} from 'typeorm'
import { Backgrounded, backgrounded, backgroundedEvents, drain, reference, withBackgrounded } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

const ran: unknown[] = []

@Entity()
class Label {
  @PrimaryGeneratedColumn() id!: number
}
@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
abstract class Content {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) title!: string
}
@ChildEntity()
class Draft extends Content {
  @Column({ nullable: true }) author!: string
  @Backgrounded({ onMissing: 'discard' }) publish(...others: unknown[]): void {
    ran.push(['Draft', this.id, ...others])
  }
  @Backgrounded() revise(): void {
    ran.push(['revised', this.id])
  }
}
@ChildEntity()
class Article extends Content {
  @ManyToMany(() => Label) @JoinTable() labels!: Relation<Label>[]
  @Backgrounded({ name: 'publish', relations: ['labels'] }) announce(...others: unknown[]): void {
    ran.push([this.constructor.name, this.id, this.labels.length, ...others])
  }
}
@ChildEntity()
class Essay extends Article {}
@ChildEntity()
class Note extends Content {
  publish(): void {
    ran.push('an unmarked method')
  }
}

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`a row that has changed its class since the call, ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>
    let draft: Draft
    const failures: unknown[] = []

    beforeEach(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create([Label, Content, Draft, Article, Essay, Note]))
      await withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent }).initialize()
      backgroundedEvents(dataSource).on('failed', ({ error }) => failures.push(error))
      draft = await dataSource.manager.save(Object.assign(new Draft(), { title: 'one' }))
      ran.length = failures.length = 0
    })
    afterEach(() => drop?.())

    const become = (kind: string) => dataSource.query(`UPDATE content SET kind = '${kind}' WHERE id = ${draft.id}`)

    for (const kind of ['Article', 'Essay']) {
      it(`runs the method of this name of its new class: ${kind}`, async () => {
        await backgrounded(draft).publish('a')
        await become(kind)
        const label = await dataSource.manager.save(new Label())
        await dataSource.createQueryBuilder().relation(Article, 'labels').of(draft.id).add(label)
        expect(await drain(dataSource)).to.include({ completed: 1 })
        expect(ran).to.deep.equal([[kind, draft.id, 1, 'a']])
      })
    }

    it('fails with the reason if its new class has no such method, or has not marked it', async () => {
      await backgrounded(draft).publish()
      await backgrounded(draft).revise()
      await become('Note')
      expect(await drain(dataSource)).to.include({ failed: 2, discarded: 0 })
      expect(ran).to.deep.equal([])
      expect(failures.map((error) => (error as { code: string }).code)).to.deep.equal([
        'ROW_CHANGED_CLASS',
        'ROW_CHANGED_CLASS',
      ])
      expect(String(failures[0])).to.match(/of the class Note now.*"publish"/)
    })

    it('is found among the arguments', async () => {
      const other = await dataSource.manager.save(new Draft())
      await backgrounded(other).publish(reference(Draft, draft.id))
      await become('Note')
      await drain(dataSource)
      expect(ran).to.have.length(1)
      expect((ran[0] as unknown[])[2]).to.be.instanceOf(Note)
    })

    it('is distinguished from one that is gone', async () => {
      await backgrounded(draft).publish()
      await dataSource.manager.delete(Draft, draft.id)
      expect(await drain(dataSource)).to.include({ failed: 0, discarded: 1 })
    })

    it('is distinguished from one that has not changed', async () => {
      await backgrounded(draft).publish('b')
      await drain(dataSource)
      expect(ran).to.deep.equal([['Draft', draft.id, 'b']])
    })
  })
}

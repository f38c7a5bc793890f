import { expect } from 'chai'
import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  type DataSource,
  type Relation,
} from 'typeorm'
import { AfterCommitBackgrounded, backgroundedEvents, settled, withBackgrounded } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

let asked: Article[] = []
let answer: (article: Article) => unknown

class Place {
  @Column({ default: '' }) city!: string
  @Column({ default: '' }) street!: string

  get line(): string {
    return `${this.street}, ${this.city}`
  }
}

class Tags {
  constructor(readonly list: string[]) {}
}

@Entity()
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
class Article {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @Column({ default: false }) isPublic!: boolean
  @Column(() => Place) place!: Place
  @Column({
    type: 'varchar',
    default: '',
    transformer: { to: (tags?: Tags) => tags?.list.join(), from: (text: unknown) => new Tags(String(text).split(',')) },
  })
  tags!: Tags
  @Column({ default: '', select: false }) secret!: string
  @ManyToOne(() => Author) author!: Relation<Author>
  @DeleteDateColumn() deletedAt!: Date | null
  draft?: string

  isWorthIt(): boolean {
    return this.isPublic
  }
  describe(): string {
    return 'article'
  }

  @AfterCommitBackgrounded({
    on: ['insert', 'update', 'softRemove', 'recover'],
    when: (article: Article) => {
      asked.push(article)
      return answer(article) as boolean
    },
  })
  index(): void {}
}

@ChildEntity()
class Report extends Article {
  @Column({ nullable: true }) pages!: number

  override describe(): string {
    return `report of ${this.pages}`
  }
}

@Entity()
class Author {
  @PrimaryColumn() id!: number
  @Column({ default: '' }) name!: string
}

/** Its constructor needs what TypeORM does not give. */
@Entity()
class Strict {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string

  constructor(given?: { name: string }) {
    if (given) this.name = given.name
  }
  @AfterCommitBackgrounded({ when: (strict: Strict) => strict.isNamed() })
  index(): void {}
  isNamed(): boolean {
    return this.name !== ''
  }
}

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`\`when\` of a method after a commit: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let handler: FakeHandler
    const failures: unknown[] = []

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      asked = []
      answer = (article) => article.isWorthIt()
      failures.length = 0
      handler = new FakeHandler()
      ;({ dataSource, drop } = await store.create([Article, Report, Author, Strict]))
      await withBackgrounded(dataSource, { handler, outbox: false, logger: silent }).initialize()
      backgroundedEvents(dataSource).on('enqueueFailed', ({ error }) => failures.push(error))
      await articles().insert({
        id: 1,
        title: 'old',
        isPublic: true,
        place: { city: 'Rome', street: 'A' },
        secret: 's',
      })
      await dataSource.manager.save(Author, { id: 7, name: 'Ada' })
      await enqueued()
      asked = []
    })
    afterEach(() => drop?.())

    const articles = () => dataSource.getRepository(Article)
    const enqueued = async () => {
      await settled(dataSource)
      const { length } = handler.jobs
      handler.clear()
      return length
    }
    const last = () => asked.at(-1) as Article

    it('is given an instance for a plain object that is inserted', async () => {
      await articles().save({ title: 'new', isPublic: true, place: { city: 'Bern' } })
      expect(await enqueued()).to.equal(1)
      expect(last()).to.be.instanceOf(Article)
      expect(last().place).to.be.instanceOf(Place)
      expect(last().place.city).to.equal('Bern')
      expect(last().id).to.be.a('number')
    })

    it('is given an instance for plain objects of a plain insert', async () => {
      await articles().insert([
        { title: 'a', isPublic: true },
        { title: 'b', isPublic: false },
      ])
      expect(await enqueued()).to.equal(1)
      expect(asked.map((each) => each instanceof Article && each.title)).to.deep.equal(['a', 'b'])
    })

    it('is given the whole row when a part of it is saved', async () => {
      await articles().save({ id: 1, title: 'new' })
      expect(await enqueued()).to.equal(1)
      expect(last()).to.include({ id: 1, title: 'new', isPublic: true, deletedAt: null })
      expect(last().tags).to.be.instanceOf(Tags)
      expect(last().place.line).to.equal('A, Rome')
    })

    it('is given the whole row when an instance with a part of it, or a part of an embedded object, is saved', async () => {
      const part = Object.assign(new Article(), { id: 1, place: { street: 'B' } })
      await articles().save(part)
      expect(await enqueued()).to.equal(1)
      expect(last()).to.include({ title: 'old', isPublic: true })
      expect(last().place.line).to.equal('B, Rome')
      expect(part.title).to.equal(undefined)
    })

    it('is given null if the saved part holds null, and not the earlier value', async () => {
      await articles().save({ id: 1, title: 'gone', isPublic: false })
      expect(await enqueued()).to.equal(0)
      await articles().softRemove({ id: 1 } as Article)
      expect(last()).to.include({ title: 'gone', isPublic: false })
      await articles().recover({ id: 1 } as Article)
      expect(last()).to.include({ title: 'gone' })
      expect(asked).to.have.length(3)
    })

    it('is given the saved object itself if that is the whole row', async () => {
      const row = await articles().findOneByOrFail({ id: 1 })
      await articles().save(Object.assign(row, { title: 'new', draft: 'kept' }))
      expect(last()).to.equal(row)
    })

    it('is given properties that are not columns, and the relation that was set', async () => {
      await articles().save({ id: 1, title: 'new', draft: 'kept', describe: 'not this', author: { id: 7 } } as never)
      expect(last()).to.deep.include({ draft: 'kept', author: { id: 7 } })
      expect(last().describe()).to.equal('article')
    })

    it("is given an instance of the row's own class", async () => {
      await dataSource.getRepository(Report).save({ title: 'r', pages: 3 })
      expect(last()).to.be.instanceOf(Report)
      expect(last().describe()).to.equal('report of 3')
      await dataSource.getRepository(Report).save({ id: last().id, title: 's' })
      expect(last().describe()).to.equal('report of 3')
      expect(last().title).to.equal('s')
    })

    it('is given an instance of a class whose constructor takes arguments', async () => {
      await dataSource.getRepository(Strict).save({ name: 'x' })
      expect(await enqueued()).to.equal(1)
    })

    const promises: Record<string, () => unknown> = {
      'a promise of true': () => Promise.resolve(true),
      'a promise of false': () => Promise.resolve(false),
      'a promise that rejects': () => Promise.reject(new Error('unhandled')),
      'something that can be awaited': () => ({
        then: (_: unknown, reject: (error: Error) => void) => reject(new Error()),
      }),
    }
    for (const [title, make] of Object.entries(promises)) {
      it(`must not answer with ${title}`, async () => {
        answer = make
        const error = await articles()
          .save({ title: 'never', isPublic: true })
          .catch((cause: unknown) => cause as Error)
        expect(error).to.have.property('code', 'ENQUEUE_FAILED')
        expect((error as Error).cause).to.have.property('code', 'INVALID_OPTION')
        expect(((error as Error).cause as Error).message)
          .to.contain('Article.index')
          .and.to.contain('promise')
        expect(await articles().countBy({ title: 'never' })).to.equal(0)
        expect(failures).to.have.length(1)
      })
    }

    it('leaves a plain insert alone when it throws a value that cannot be read', async () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      answer = () => {
        throw proxy
      }
      await articles().insert({ title: 'kept' })
      expect(await articles().countBy({ title: 'kept' })).to.equal(1)
      expect(failures).to.have.length(1)
      expect(await enqueued()).to.equal(0)
    })

    for (const odd of [undefined, null, 'text', Symbol('odd'), Object.freeze(new Error('frozen'))]) {
      it(`keeps its transaction from committing when it throws ${String(odd)}`, async () => {
        answer = () => {
          throw odd
        }
        const error = await articles()
          .save({ title: 'never' })
          .catch((cause: unknown) => cause)
        expect(error).to.have.property('code', 'ENQUEUE_FAILED')
        expect(await articles().countBy({ title: 'never' })).to.equal(0)
      })
    }
  })
}

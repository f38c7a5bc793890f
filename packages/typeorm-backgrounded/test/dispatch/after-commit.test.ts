import { expect } from 'chai'
import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type DataSource,
  type Relation,
} from 'typeorm'
import {
  AfterCommitBackgrounded,
  backgroundedEvents,
  drain,
  settled,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { createPostgres, requirePostgres } from '../support/postgres'

const ran: string[] = []
let saveAgain: DataSource | undefined

@Entity()
class Gallery {
  @PrimaryGeneratedColumn() id!: number
  @OneToMany(() => Picture, (picture) => picture.gallery, { cascade: true }) pictures!: Relation<Picture>[]
}

@Entity()
class Picture {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @Column({ default: false }) isHidden!: boolean
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => Gallery) gallery!: Relation<Gallery>

  @AfterCommitBackgrounded()
  makeThumbnails(): void {
    ran.push(`thumbnails ${this.title}`)
  }

  @AfterCommitBackgrounded({
    on: ['insert', 'update'],
    when: (picture: Picture, { type, updatedColumns }) => {
      if (picture.title === 'broken') throw new Error('when() is broken')
      return type === 'insert' ? !picture.isHidden : updatedColumns.includes('title')
    },
  })
  async index(): Promise<void> {
    ran.push(`index ${this.title}`)
    if (saveAgain) await saveAgain.manager.save(Object.assign(this, { title: `${this.title}!` }))
  }

  @AfterCommitBackgrounded({ on: 'softRemove' })
  unpublish(): void {
    ran.push(`unpublish ${this.title} ${this.deletedAt !== null}`)
  }

  @AfterCommitBackgrounded({ on: 'recover' })
  republish(): void {
    ran.push(`republish ${this.title}`)
  }
}

@Entity()
class Asset {
  @PrimaryColumn() id!: number
  @OneToMany(() => Setting, (setting) => setting.asset, { cascade: true }) settings!: Relation<Setting>[]
}

/** Its key is partly its parent's. */
@Entity()
class Setting {
  @PrimaryColumn() assetId!: number
  @PrimaryColumn() name!: string
  @Column({ default: '' }) value!: string
  @ManyToOne(() => Asset, (asset) => asset.settings)
  @JoinColumn({ name: 'assetId' })
  asset!: Relation<Asset>

  @AfterCommitBackgrounded({ on: ['insert', 'update'] })
  apply(): void {
    ran.push(`apply ${this.assetId} ${this.name} ${this.value}`)
  }
}

const entities = [Picture, Gallery, Asset, Setting]

const stores: {
  name: string
  handler: () => Handler
  open: () => Promise<{ dataSource: DataSource; drop?: () => Promise<void> }>
  postgres?: true
}[] = [
  {
    name: 'DatabaseHandler, SQLite in a file',
    handler: () => new DatabaseHandler(),
    open: async () => ({ dataSource: inFile(entities) }),
  },
  {
    name: 'FakeHandler, SQLite in memory',
    handler: () => new FakeHandler(),
    open: async () => ({ dataSource: inMemory(entities) }),
  },
  {
    name: 'SynchronousHandler, SQLite in memory',
    handler: () => new SynchronousHandler(),
    open: async () => ({ dataSource: inMemory(entities) }),
  },
  {
    name: 'SynchronousHandler, Postgres',
    handler: () => new SynchronousHandler(),
    open: () => createPostgres(entities, { poolSize: 1 }),
    postgres: true,
  },
]

for (const { name, handler, open, postgres } of stores) {
  describe(`@AfterCommitBackgrounded: ${name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let warnings: string[]

    before(async function () {
      if (postgres) await requirePostgres(this)
    })
    beforeEach(async () => {
      ran.length = 0
      warnings = []
      saveAgain = undefined
      ;({ dataSource, drop } = await open())
      const logger = {
        debug() {},
        info() {},
        warn: (_: object, message: string) => void warnings.push(message),
        error() {},
      }
      await withBackgrounded(dataSource, { handler: handler(), logger }).initialize()
    })
    afterEach(() => drop?.() ?? dataSource?.destroy())

    const picture = (title: string, more: object = {}) => Object.assign(new Picture(), { title, ...more })
    const pictures = () => dataSource.getRepository(Picture)
    const outcome = async () => {
      for (let before = -1; before !== ran.length;) {
        before = ran.length
        await settled(dataSource)
        await drain(dataSource)
      }
      return ran.splice(0).sort()
    }

    it('enqueues after a save that inserts', async () => {
      await pictures().save(picture('a'))
      expect(await outcome()).to.deep.equal(['index a', 'thumbnails a'])
    })

    it('enqueues after an update for which `when` returns true, and not after others', async () => {
      const row = await pictures().save(picture('a', { isHidden: true }))
      expect(await outcome()).to.deep.equal(['thumbnails a'])
      await pictures().save(Object.assign(row, { isHidden: false }))
      expect(await outcome()).to.deep.equal([])
      await pictures().save(Object.assign(row, { title: 'b' }))
      expect(await outcome()).to.deep.equal(['index b'])
    })

    it('enqueues after softRemove, finding the removed row, and after recover', async () => {
      const row = await pictures().save(picture('a'))
      await outcome()
      await pictures().softRemove(row)
      expect(await outcome()).to.deep.equal(['unpublish a true'])
      await pictures().recover(row)
      expect(await outcome()).to.deep.equal(['republish a'])
    })

    it('enqueues after a plain insert, of one row and of several', async () => {
      await pictures().insert({ title: 'a' })
      await pictures().insert([{ title: 'b' }, { title: 'c' }])
      expect(await outcome()).to.deep.equal([
        'index a',
        'index b',
        'index c',
        'thumbnails a',
        'thumbnails b',
        'thumbnails c',
      ])
    })

    it('emits the same events for a plain insert as for every job, without arguments', async () => {
      const enqueued: object[] = []
      backgroundedEvents(dataSource).on('enqueued', ({ job }) => enqueued.push(job))
      await pictures().insert({ title: 'a' })
      await outcome()
      expect(enqueued).to.have.length(2)
      for (const job of enqueued) expect(job).to.have.all.keys('id', 'entity', 'key', 'method', 'queue')
    })

    it('enqueues for rows that a cascade saves', async () => {
      await dataSource.manager.save(Object.assign(new Gallery(), { pictures: [picture('a'), picture('b')] }))
      expect(await outcome()).to.deep.equal(['index a', 'index b', 'thumbnails a', 'thumbnails b'])
    })

    it('enqueues for a row whose key a cascade completes', async () => {
      const setting = (value: string) => Object.assign(new Setting(), { name: 'a', value })
      await dataSource.manager.save(Object.assign(new Asset(), { id: 1, settings: [setting('old')] }))
      expect(await outcome()).to.deep.equal(['apply 1 a old'])
      await dataSource.manager.save(Object.assign(new Asset(), { id: 1, settings: [setting('new')] }))
      expect(await outcome()).to.deep.equal(['apply 1 a new'])
    })

    it('makes one job of several events on one row in one transaction', async () => {
      await dataSource.transaction(async (manager) => {
        const row = await manager.save(picture('a'))
        await manager.save(Object.assign(row, { title: 'b' }))
        await manager.save(Object.assign(row, { title: 'c' }))
      })
      expect(await outcome()).to.deep.equal(['index c', 'thumbnails c'])
    })

    it('makes the job again when the savepoint with the first event was rolled back', async () => {
      const row = await pictures().save(picture('a'))
      await outcome()
      await dataSource.transaction(async (manager) => {
        await manager
          .transaction(async (inner) => {
            await inner.save(Object.assign(row, { title: 'inner' }))
            throw new Error('roll back')
          })
          .catch(() => {})
        await manager.save(Object.assign(row, { title: 'outer' }))
      })
      expect(await outcome()).to.deep.equal(['index outer'])
    })

    it('enqueues nothing after a rollback', async () => {
      await dataSource
        .transaction(async (manager) => {
          await manager.save(picture('a'))
          throw new Error('roll back')
        })
        .catch(() => {})
      expect(await outcome()).to.deep.equal([])
    })

    it('does not enqueue a method again that saves its own row', async () => {
      saveAgain = dataSource
      await pictures().save(picture('a'))
      const names = await outcome()
      expect(names.filter((each) => each.startsWith('index'))).to.deep.equal(['index a'])
    })

    it('does not let a transaction commit if its job could not be made', async () => {
      const failure = await pictures()
        .save(picture('broken'))
        .catch((error: Error) => error)
      expect(failure).to.have.property('code', 'ENQUEUE_FAILED')
      expect((failure as Error).cause).to.have.property('message', 'when() is broken')
      expect(await pictures().count()).to.equal(0)
    })

    it('warns once about writes that do not say which rows they wrote', async () => {
      const { id } = await pictures().save(picture('a'))
      await outcome()
      await pictures().update(id, { title: 'b' })
      await pictures().update(id, { title: 'c' })
      await pictures().upsert({ id, title: 'd' }, ['id'])
      await pictures().createQueryBuilder().insert().values({ title: 'e' }).orIgnore().execute()
      await pictures().softDelete(id)
      await pictures().restore(id)
      expect(await outcome()).to.deep.equal([])
      expect(warnings.filter((warning) => warning.includes('named no row'))).to.have.length(4)
    })
  })
}

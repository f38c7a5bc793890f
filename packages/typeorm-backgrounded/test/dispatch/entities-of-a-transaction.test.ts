import { expect } from 'chai'
import {
  Column,
  DeleteDateColumn,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type DataSource,
  type QueryRunner,
  type Relation,
} from 'typeorm'
import { Backgrounded, settled, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

@Entity()
class Tree {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @OneToMany(() => Leaf, (leaf) => leaf.tree, { cascade: ['insert', 'update'] }) leaves!: Relation<Leaf>[]

  @Backgrounded() water(): void {}
  declare waterBackgrounded: InBackground<Tree['water']>
}

@Entity()
class Leaf {
  @PrimaryGeneratedColumn() id!: number
  @ManyToOne(() => Tree, (tree) => tree.leaves) tree!: Relation<Tree>
  @Column({ default: 'green' }) colour!: string

  @Backgrounded() turn(): void {}
  declare turnBackgrounded: InBackground<Leaf['turn']>
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`an entity of a hand-started transaction: ${store.name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let handler: FakeHandler
    let runner: QueryRunner
    let tree: Tree
    let leaf: Leaf

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      handler = new FakeHandler()
      ;({ dataSource, drop } = await store.create([Tree, Leaf]))
      await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
      leaf = new Leaf()
      tree = await dataSource.manager.save(Object.assign(new Tree(), { name: 'oak', leaves: [leaf] }))
      runner = dataSource.createQueryRunner()
      await runner.startTransaction()
    })
    afterEach(async () => {
      if (runner?.isTransactionActive) await runner.rollbackTransaction()
      await runner?.release()
      await drop?.()
    })

    it('is found where one saved after it has an unloaded relation', async () => {
      const other = await dataSource.manager.save(Object.assign(new Tree(), { name: 'elm' }))
      const unloaded = await dataSource.manager.findOneByOrFail(Tree, { id: other.id })
      await runner.manager.save([tree, unloaded])
      await isFollowed(() => tree.waterBackgrounded())
    })
    it('may be one of 200,000: TypeORM alone decides whether it saves them', async () => {
      const many = Array.from({ length: 200_000 }, () => ({}))
      const error: unknown = await runner.manager.save(many).catch((each: unknown) => each)
      expect(error).to.have.property('name', 'CannotDetermineEntityError')
    })

    const isFollowed = async (call: () => Promise<{ state: string }>) => {
      expect(await call()).to.have.property('state', 'deferred')
      await runner.rollbackTransaction()
      await settled(dataSource)
      expect(handler.jobs).to.deep.equal([])
      expect(await call()).to.have.property('state', 'enqueued')
    }

    it('is none of the next one on the same runner, also where the last one has loaded very many', async () => {
      const many = Array.from({ length: 1_100 }, () => ({ name: 'x' }))
      await dataSource.createQueryBuilder().insert().into(Tree).values(many).updateEntity(false).execute()
      const loaded = await runner.manager.findOneByOrFail(Tree, { id: tree.id })
      await runner.manager.find(Tree)
      await runner.commitTransaction()
      await runner.startTransaction()
      expect(await loaded.waterBackgrounded()).to.have.property('state', 'enqueued')
    })

    it('is one that was saved without a changed column', async () => {
      await runner.manager.save(tree)
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('is each of an array that was saved, also through a repository and with the class named', async () => {
      await runner.manager.save([tree])
      await runner.manager.getRepository(Leaf).save([leaf])
      await isFollowed(() => leaf.turnBackgrounded())
      await runner.startTransaction()
      handler.clear()
      await runner.manager.save(Tree, [tree])
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('is a child that a cascade saved without a changed column', async () => {
      await runner.manager.save(tree)
      await isFollowed(() => leaf.turnBackgrounded())
    })

    it('is one that was saved without listeners', async () => {
      await runner.manager.save(Object.assign(tree, { name: 'elm' }), { listeners: false })
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('is what preload returns', async () => {
      const preloaded = (await runner.manager.preload(Tree, { id: tree.id, name: 'elm' })) as Tree
      await isFollowed(() => preloaded.waterBackgrounded())
    })

    it('is what a repository preloads, with its relations', async () => {
      const like = { id: tree.id, leaves: [{ id: leaf.id }] }
      const preloaded = (await runner.manager.getRepository(Tree).preload(like)) as Tree
      await isFollowed(() => (preloaded.leaves[0] as Leaf).turnBackgrounded())
    })

    it('is an entity that a manager of the transaction merged into', async () => {
      runner.manager.merge(Tree, tree, { name: 'elm' })
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('stays one when a manager outside of the transaction merges into it', async () => {
      await runner.manager.save(tree)
      dataSource.manager.merge(Tree, tree, { name: 'elm' })
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('is not one that was saved outside of the transaction since', async () => {
      if (store === sqliteFile) return // the save is on the connection of the transaction
      const row = await runner.manager.findOneByOrFail(Tree, { id: tree.id })
      await dataSource.manager.save(Object.assign(row, { name: 'elm' }))
      expect(await row.waterBackgrounded()).to.have.property('state', 'enqueued')
    })

    it('is one that was soft-removed or recovered without a change', async () => {
      await runner.manager.recover(tree)
      await isFollowed(() => tree.waterBackgrounded())
      await dataSource.manager.softRemove(tree)
      handler.clear()
      await runner.startTransaction()
      await runner.manager.softRemove(tree)
      await isFollowed(() => tree.waterBackgrounded())
    })

    it('is one that was loaded inside a relation', async () => {
      const found = await runner.manager.findOneOrFail(Tree, { where: { id: tree.id }, relations: { leaves: true } })
      await isFollowed(() => (found.leaves[0] as Leaf).turnBackgrounded())
    })

    it('is not one that is only referred to', async () => {
      const other = await dataSource.manager.save(Object.assign(new Tree(), { name: 'ash', leaves: [] }))
      if (store === sqliteFile) return // the save was on the connection of the transaction
      await runner.manager.save(Object.assign(leaf, { tree: other }))
      expect(await other.waterBackgrounded()).to.have.property('state', 'enqueued')
    })
  })
}

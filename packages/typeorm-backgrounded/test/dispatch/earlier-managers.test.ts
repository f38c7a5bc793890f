import { expect } from 'chai'
import { BaseEntity, Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { AfterCommitBackgrounded, Backgrounded, settled, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteFile } from '../support/stores'

@Entity()
class Bird extends BaseEntity {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) name!: string

  @Backgrounded() sing(): void {}
  declare singBackgrounded: InBackground<Bird['sing']>

  @AfterCommitBackgrounded() hatch(): void {}
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  for (const when of ['before initialize()', 'after it'] as const) {
    describe(`managers that were made before the plugin was attached ${when}: ${store.name}`, () => {
      let dataSource: DataSource
      let drop: (() => Promise<void>) | undefined
      let handler: FakeHandler
      let early: ReturnType<typeof makeEarly>
      let bird: Bird
      const warnings: string[] = []

      before(async function () {
        await store.require(this)
      })
      beforeEach(async () => {
        warnings.length = 0
        handler = new FakeHandler()
        ;({ dataSource, drop } = await store.create([Bird]))
        Bird.useDataSource(dataSource)
        const attach = () => {
          early = makeEarly(dataSource)
          const logger = { ...silent, warn: (_: object, message: string) => void warnings.push(message) }
          withBackgrounded(dataSource, { handler, logger })
        }
        if (when === 'before initialize()') attach()
        await dataSource.initialize()
        if (when === 'after it') attach()
        bird = await dataSource.manager.save(new Bird())
        await settled(dataSource)
        handler.clear()
      })
      afterEach(async () => {
        await early?.runner.release()
        await drop?.()
      })

      const makeEarly = (source: DataSource) => {
        const runner = source.createQueryRunner()
        const ofRunner = runner.manager
        return { runner, ofRunner, own: source.manager, other: source.createEntityManager() }
      }
      const made = async () => {
        await settled(dataSource)
        const methods = handler.jobs.map(({ method }) => method)
        handler.clear()
        return methods
      }

      for (const name of ['ofRunner', 'own', 'other'] as const) {
        it(`are followed into the callback of a transaction: ${name}`, async () => {
          const roll = (commits: boolean) =>
            early[name].transaction(async () => {
              await bird.singBackgrounded()
              if (!commits) throw new Error('roll back')
            })
          await roll(false).catch(() => {})
          expect(await made()).to.deep.equal([])
          await roll(true)
          expect(await made()).to.deep.equal(['sing'])
        })

        it(`make jobs of a plain insert, through their repositories too: ${name}`, async () => {
          await early[name].insert(Bird, { name: 'a' })
          await early[name].getRepository(Bird).insert({ name: 'b' })
          expect(await made()).to.deep.equal(['hatch', 'hatch'])
          expect(warnings).to.deep.equal([])
        })
      }

      it('are followed when a BaseEntity saves itself', async () => {
        await new Bird().save()
        await Bird.insert({ name: 'c' })
        expect(await made()).to.deep.equal(['hatch', 'hatch'])
      })
    })
  }
}

describe('managers of another data source', () => {
  it('are not affected', async () => {
    const attached = await withBackgrounded(inMemory([Bird]), {
      handler: new FakeHandler(),
      logger: silent,
    }).initialize()
    const other = await inMemory([Bird]).initialize()
    expect(other.manager.save).to.have.property('name', 'save')
    const bird = await other.manager.save(Object.assign(new Bird(), { name: 'free' }))
    await other.transaction('SERIALIZABLE', (manager) => manager.insert(Bird, { name: 'too' }))
    expect(await other.manager.count(Bird)).to.equal(2)
    expect(await other.manager.preload(Bird, { id: bird.id, name: 'new' })).to.have.property('name', 'new')
    await attached.destroy()
    await other.destroy()
  })
})

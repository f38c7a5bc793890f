import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type QueryRunner } from 'typeorm'
import { Backgrounded, settled, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'
import { silent } from '../support/program'

@Entity()
class Note {
  @PrimaryGeneratedColumn() id!: number
  @Column() text!: string

  @Backgrounded()
  index(): void {}
  declare indexBackgrounded: InBackground<Note['index']>
}

describe('an entity without listeners, saved in a hand-started transaction', () => {
  let dataSource: DataSource
  let handler: FakeHandler
  let runner: QueryRunner

  beforeEach(async () => {
    handler = new FakeHandler()
    dataSource = withBackgrounded(inMemory([Note]), { handler, logger: silent })
    await dataSource.initialize()
    runner = dataSource.createQueryRunner()
  })
  afterEach(() => dataSource.destroy())

  const save = (note: Note, text: string) => runner.manager.save(Object.assign(note, { text }))

  for (const kind of ['new', 'old'] as const) {
    it(`is followed when it is ${kind}, by a call after the save`, async () => {
      const note = new Note()
      if (kind === 'old') await save(note, 'first')
      for (const end of ['rollbackTransaction', 'commitTransaction'] as const) {
        await runner.startTransaction()
        await save(note, end)
        expect(await note.indexBackgrounded()).to.have.property('state', 'deferred')
        await runner[end]()
        await settled(dataSource)
        expect(handler.jobs).to.have.length(end === 'commitTransaction' ? 1 : 0)
      }
    })
  }

  it('is followed by a call after a save that failed', async () => {
    const note = Object.assign(new Note(), { id: 1 })
    await runner.startTransaction()
    await save(note, null as never).catch(() => {}) // the column is not nullable
    expect(await note.indexBackgrounded()).to.have.property('state', 'deferred')
    await runner.rollbackTransaction()
    await settled(dataSource)
    expect(handler.jobs).to.deep.equal([])
  })

  it('is followed by a call of another subscriber in the middle of the save', async () => {
    const states: string[] = []
    dataSource.subscribers.unshift({
      afterInsert: async ({ entity }: { entity: Note }) => void states.push((await entity.indexBackgrounded()).state),
    })
    await runner.startTransaction()
    await save(new Note(), 'never')
    await runner.rollbackTransaction()
    expect(states).to.deep.equal(['deferred'])
    expect(handler.jobs).to.deep.equal([])
  })
})

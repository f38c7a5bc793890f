import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, drain, settled, withBackgrounded, type Handler } from '../../src'
import { SynchronousHandler } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

const seen: unknown[][] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string
  @Backgrounded() send(...args: unknown[]): void {
    seen.push(args)
  }
}

const handlers: Record<string, () => Handler> = {
  SynchronousHandler: () => new SynchronousHandler(),
  DatabaseHandler: () => new DatabaseHandler(),
  FakeHandler: () => new FakeHandler(),
}

for (const [name, make] of Object.entries(handlers)) {
  describe(`a call stores its arguments as they are at that moment: ${name}`, () => {
    let dataSource: DataSource
    let letter: Letter

    beforeEach(async () => {
      seen.length = 0
      dataSource = await withBackgrounded(inMemory([Letter]), { handler: make() }).initialize()
      letter = await dataSource.manager.save(new Letter())
    })
    afterEach(() => dataSource.destroy())

    function mutable() {
      const at = new Date(5)
      const map = new Map([['a', 1]])
      const set = new Set(['a'])
      const buffer = Buffer.from('abc')
      const list = [1, 2]
      const change = () => {
        at.setTime(99)
        map.set('b', 2)
        set.clear()
        buffer.fill(0)
        list.push(3)
      }
      return { args: { at, map, set, buffer, list }, change }
    }
    const unchanged = {
      at: new Date(5),
      map: new Map([['a', 1]]),
      set: new Set(['a']),
      buffer: Buffer.from('abc'),
      list: [1, 2],
    }

    it('outside a transaction', async () => {
      const { args, change } = mutable()
      const call = backgrounded(letter).send(args)
      change()
      await call
      await drain(dataSource)
      expect(seen).to.deep.equal([[unchanged]])
    })

    it('inside a transaction, not as they are at its commit', async () => {
      const { args, change } = mutable()
      await dataSource.transaction(async (manager) => {
        await backgrounded(letter, { manager }).send(args)
        change()
      })
      await settled(dataSource)
      await drain(dataSource)
      expect(seen).to.deep.equal([[unchanged]])
    })

    it('and gives every job arguments of its own', async () => {
      const shared = { list: [1] }
      await backgrounded([letter, letter]).send(shared)
      await drain(dataSource)
      expect(seen).to.deep.equal([[shared], [shared]])
      expect(seen[0]?.[0]).not.to.equal(seen[1]?.[0])
      expect(seen[0]?.[0]).not.to.equal(shared)
    })

    it('and the key of an entity among them', async () => {
      const other = await dataSource.manager.save(Object.assign(new Letter(), { text: 'other' }))
      const call = backgrounded(letter).send(other)
      other.id = 12345
      await call
      await drain(dataSource)
      expect((seen[0]?.[0] as Letter).text).to.equal('other')
    })

    it('and refuses a bad one before anything is stored', async () => {
      const error = await backgrounded(letter)
        .send({ when: new Date(NaN) })
        .catch((each: unknown) => each)
      expect(error).to.include({ code: 'INVALID_ARGUMENT', path: 'args[0].when' })
      expect(await drain(dataSource)).to.include({ completed: 0, failed: 0 })
      expect(seen).to.deep.equal([])
    })
  })
}

import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, settled, SynchronousHandler, withBackgrounded } from '../../src'
import { inMemory } from '../support/data-sources'

const events: string[] = []

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded()
  async send(text: string): Promise<void> {
    events.push(`${text} begins`)
    for (let turns = 0; turns < 5; turns++) await turn()
    events.push(`${text} ends`)
  }
}

describe('jobs that run within their delivery', () => {
  it('run one after the other, in the order of the commits', async () => {
    const dataSource = withBackgrounded(inMemory([Parcel]), { handler: new SynchronousHandler() })
    await dataSource.initialize()
    const parcel = await dataSource.manager.save(new Parcel())
    for (const text of ['first', 'second'])
      await dataSource.transaction((manager) => backgrounded(parcel, { manager }).send(text))
    await settled(dataSource)
    expect(events).to.deep.equal(['first begins', 'first ends', 'second begins', 'second ends'])
    await dataSource.destroy()
  })
})

import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
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
  let dataSource: DataSource
  let parcel: Parcel

  beforeEach(async () => {
    events.length = 0
    dataSource = withBackgrounded(inMemory([Parcel]), { handler: new SynchronousHandler() })
    await dataSource.initialize()
    parcel = await dataSource.manager.save(new Parcel())
  })
  afterEach(() => dataSource.destroy())

  const commit = (text: string) => dataSource.transaction((manager) => backgrounded(parcel, { manager }).send(text))

  it('run one after the other, in the order of the commits', async () => {
    for (const text of ['first', 'second']) await commit(text)
    await settled(dataSource)
    expect(events).to.deep.equal(['first begins', 'first ends', 'second begins', 'second ends'])
  })

  it('wait for the end of the next transaction on the same connection, in which they would be rolled back', async () => {
    await commit('first')
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    for (let turns = 0; turns < 10; turns++) await turn()
    events.push('the transaction ends')
    await runner.rollbackTransaction()
    await settled(dataSource)
    expect(events).to.deep.equal(['the transaction ends', 'first begins', 'first ends'])
  })
})

import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, UnsupportedDatabaseError, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { inMemory } from '../../support/data-sources'

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string
  @Backgrounded() post(): void {}
}

describe('a database that DatabaseHandler does not know', () => {
  it('is refused at start-up, with the list of supported ones', async () => {
    const dataSource = inMemory([Letter])
    Object.assign(dataSource.options, { type: 'sqljs' }) // whose package is not here
    withBackgrounded(dataSource, { handler: new DatabaseHandler() })
    const error: unknown = await dataSource.initialize().catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(UnsupportedDatabaseError)
    expect((error as Error).message).to.match(/works with better-sqlite3, postgres, mariadb, mysql, .* is sqljs/)
  })
})

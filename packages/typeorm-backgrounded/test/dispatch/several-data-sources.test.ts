import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, drain, reference, withBackgrounded, type InBackground } from '../../src'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'
import { silent } from '../support/program'

let elsewhere: DataSource

@Entity()
class Chapter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded() async write(): Promise<void> {
    await this.printBackgrounded('row')
    await backgrounded(reference(Chapter, 1)).print('reference')
    await backgrounded([this]).print('list')
    await backgrounded(Chapter).count()
    await elsewhere.transaction(() => this.printBackgrounded('transaction'))
    await backgrounded(this, { manager: elsewhere.manager }).print('manager')
  }
  @Backgrounded() print(_word: string): void {}
  declare printBackgrounded: InBackground<Chapter['print']>

  @Backgrounded() static count(): void {}
}

describe('a call in a job of one of several data sources', () => {
  it('goes to that of the job, unless a transaction or { manager } names another', async () => {
    const handlers = [new FakeHandler(), new FakeHandler()] as const
    const attach = (handler: FakeHandler, source: string) =>
      withBackgrounded(inMemory([Chapter]), { handler, source, logger: silent }).initialize()
    const own = await attach(handlers[0], 'own')
    elsewhere = await attach(handlers[1], 'elsewhere')
    const chapter = await own.manager.save(new Chapter())
    await elsewhere.manager.save(new Chapter())
    await backgrounded(chapter, { manager: own.manager }).write()
    await drain(own)
    await drain(elsewhere)
    const said = ({ jobs }: FakeHandler) => jobs.map(({ method, args }) => String(args[0] ?? method))
    expect(said(handlers[0])).to.deep.equal(['write', 'row', 'reference', 'list', 'count'])
    expect(said(handlers[1]).sort()).to.deep.equal(['manager', 'transaction'])
    expect([...handlers[0].ended, ...handlers[1].ended]).to.deep.equal([])
    await Promise.all([own.destroy(), elsewhere.destroy()])
  })
})

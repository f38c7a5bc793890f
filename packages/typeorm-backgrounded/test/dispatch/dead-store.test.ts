import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, NullHandler, withBackgrounded, type Handler } from '../../src'
import { inMemory } from '../support/data-sources'

@Entity()
class Postcard {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() send(): void {}
}

describe('calls that wait behind a store that does not answer', () => {
  it('are rejected together once they have waited for 5 s, without trying the store one by one', async () => {
    let asked = 0
    const dead: Handler = {
      name: 'dead',
      capabilities: { ...new NullHandler().capabilities, batches: true },
      async enqueue() {
        asked++
        await sleep(5_100)
        throw Object.assign(new Error('no answer'), { code: 'ECONNREFUSED' })
      },
    }
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    const dataSource = withBackgrounded(inMemory([Postcard]), { handler: dead, outbox: false, logger: silent })
    await dataSource.initialize()
    const postcard = await dataSource.manager.save(new Postcard())
    const first = backgrounded(postcard)
      .send()
      .catch((error: unknown) => error)
    await sleep(20) // it is on its way
    const behind = await Promise.all(
      [1, 2].map(() =>
        backgrounded(postcard)
          .send()
          .catch((error: unknown) => error),
      ),
    )
    expect(await first).to.have.property('code', 'ENQUEUE_FAILED')
    for (const error of behind) expect(error).to.have.property('code', 'STORE_UNAVAILABLE')
    expect(asked).to.equal(1)
    await dataSource.destroy()
  })
})

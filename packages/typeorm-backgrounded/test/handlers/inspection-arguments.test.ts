import { expect } from 'chai'
import type { DataSource } from 'typeorm'
import { backgrounded, drain, withBackgrounded } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { DatabaseHandler } from '../../src/handlers/database'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteInMemory, type TestStore } from '../support/stores'
import { Letter, quiet, ran } from './bull/letter'

const prefix = uniquePrefix()

const stores: [name: string, store: TestStore, make: () => DatabaseHandler | BullHandler][] = [
  ...[sqliteInMemory, postgres, mariaDb].map(
    (store) => [store.name, store, () => new DatabaseHandler()] as [string, TestStore, () => DatabaseHandler],
  ),
  ['Redis', sqliteInMemory, () => new BullHandler({ redis: redisUrl, prefix })],
]

const odd: unknown[] = [0, 1, true, false, null, {}, [], ['x'], Symbol('x'), 5n, () => 'x', new Date()]

for (const [name, store, make] of stores) {
  describe(`the values that an inspection is given, ${name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>
    let handler: DatabaseHandler | BullHandler

    before(async function () {
      await store.require(this)
      if (name === 'Redis') await requireRedis(this)
      ran.length = 0
      ;({ dataSource, drop } = await store.create([Letter]))
      handler = make()
      await withBackgrounded(dataSource, { handler, logger: quiet }).initialize()
      const letter = await dataSource.manager.save(new Letter())
      await backgrounded([letter, letter]).post('kept')
    })
    after(async () => {
      await drop?.()
      if (name === 'Redis') await removeKeys(prefix)
    })

    const refused: Record<string, (value: never) => Promise<unknown>> = {
      'an id to discard': (value) => handler.discard([value]),
      'an id to retry': (value) => handler.retry(['x', value]),
      'ids to discard': (value) => handler.discard(Array.isArray(value) ? ('x' as never) : value),
      'ids to retry': (value) => handler.retry(Array.isArray(value) ? (new Set(value) as never) : value),
      'a queue to find': (queue) => handler.find({ queue }),
      'an entity to find': (entity) => handler.find({ entity }),
      'a method to find': (method) => handler.find({ method }),
      'a state to find': (state) => handler.find({ state }),
      'a part of a key to find': (id) => handler.find({ key: { id: Object(id) as object } }),
      'a queue to pause': (queue) => handler.pause(queue),
      'a queue to resume': (queue) => handler.resume(queue),
      'a state to prune': (state) => handler.prune({ before: new Date(), state }),
    }
    for (const [what, ask] of Object.entries(refused)) {
      it(`are refused if they are not a text: ${what}`, async () => {
        for (const value of odd) {
          const error: unknown = await ask(value as never).catch((each: unknown) => each)
          expect(error, String(Array.isArray(value) ? 'a list' : typeof value)).to.have.property(
            'code',
            'INVALID_OPTION',
          )
        }
      })
    }

    it('are refused if there is no such option or state', async () => {
      const asked: Promise<unknown>[] = [
        handler.find({ que: 'mail' } as never),
        handler.find('mail' as never),
        handler.find({ state: 'wating' as never }),
        handler.find({ key: 5 as never }),
        handler.find({ limit: -1 }),
        handler.find({ limit: '5' as never }),
        handler.find({ olderThan: {} as never }),
        handler.prune({ before: 'yesterday' as never }),
        handler.prune({ before: new Date(NaN) }),
        handler.prune({ before: 0 as never }),
        handler.prune(undefined as never),
        handler.prune({ before: new Date(), until: 1 } as never),
        handler.pause(''),
      ]
      for (const each of asked) {
        const error: unknown = await each.catch((reason: unknown) => reason)
        expect(error).to.have.property('code', 'INVALID_OPTION')
      }
    })

    it('have changed nothing', async () => {
      expect(await handler.find({ queue: 'default' })).to.have.length(2)
      expect(await drain(dataSource)).to.include({ completed: 2 })
    })
  })
}

import { describe, it } from 'mocha'
import { BullHandler } from '../../../src/handlers/bull'
import { handlerConformance } from '../../../src/testing'
import { forgetWorkers, redisUrl, removeKeys, requireRedis, uniquePrefix } from '../../support/redis'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'

/** Each with the outbox, as it is by default. */
for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`with its outbox in ${store.name}`, () => {
    let drop: (() => Promise<void>) | undefined
    let prefix = ''

    before(async function () {
      await store.require(this)
      await requireRedis(this)
    })

    afterEach(async () => {
      await drop?.()
      await removeKeys(prefix)
    })

    handlerConformance({
      describe,
      it,
      name: `bull with its outbox in ${store.name}`,
      handler: () =>
        new BullHandler({ redis: redisUrl, prefix: (prefix = uniquePrefix()), settings: { lockDuration: 1_000 } }),
      dataSource: async (entities) => {
        const created = await store.create(entities)
        drop = created.drop
        return created.dataSource
      },
      forgetWorkers: () => forgetWorkers(prefix),
    })
  })
}

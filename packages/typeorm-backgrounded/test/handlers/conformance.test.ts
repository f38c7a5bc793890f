import { describe, it } from 'mocha'
import { NullHandler, SynchronousHandler } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler, handlerConformance } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { mariaDb, postgres } from '../support/stores'

handlerConformance({ describe, it, handler: () => new SynchronousHandler(), dataSource: inMemory })
handlerConformance({ describe, it, handler: () => new NullHandler(), dataSource: inMemory })
handlerConformance({ describe, it, handler: () => new FakeHandler(), dataSource: inMemory })
handlerConformance({
  describe,
  it,
  name: 'database on SQLite',
  handler: () => new DatabaseHandler(),
  dataSource: (entities) => inFile(entities),
})
for (const store of [postgres, mariaDb]) {
  describe('', () => {
    let drop: (() => Promise<void>) | undefined

    before(function () {
      return store.require(this)
    })

    afterEach(() => drop?.())

    handlerConformance({
      describe,
      it,
      name: `database on ${store.name}`,
      handler: () => new DatabaseHandler(),
      dataSource: async (entities) => {
        const created = await store.create(entities)
        drop = created.drop
        return created.dataSource
      },
    })
  })
}

import { describe, it } from 'mocha'
import { NullHandler, SynchronousHandler } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler, handlerConformance } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { postgres } from '../support/stores'

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
describe('pg', () => {
  let drop: any
  afterEach(() => drop?.())
  handlerConformance({
    describe,
    it,
    name: 'database on Postgres',
    handler: () => new DatabaseHandler(),
    dataSource: async (entities) => {
      const created = await postgres.create(entities)
      drop = created.drop
      return created.dataSource
    },
  })
})

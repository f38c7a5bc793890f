import { describe, it } from 'mocha'
import { NullHandler, SynchronousHandler } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler, handlerConformance } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'

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

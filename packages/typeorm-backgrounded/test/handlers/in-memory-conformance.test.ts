import { describe, it } from 'mocha'
import { DataSource } from 'typeorm'
import { handlerConformance } from '../../src/testing'
import { InMemoryHandler } from './in-memory-handler'

handlerConformance({
  describe,
  it,
  handler: () => new InMemoryHandler(),
  dataSource: (entities) =>
    new DataSource({ type: 'better-sqlite3', database: ':memory:', entities, synchronize: true }),
})

import type { DataSource, DataSourceOptions } from 'typeorm'
import { inFile, inMemory } from './data-sources'
import { createMariaDb, requireMariaDb } from './mariadb'
import { createPostgres, requirePostgres } from './postgres'

type Entities = NonNullable<DataSourceOptions['entities']>

/** A database that tests run on, each in a fresh one. */
export interface TestStore {
  readonly name: string
  require(context: Mocha.Context): Promise<void>
  create: CreateDatabase
}

/** Makes a data source of a fresh database. */
export type CreateDatabase = (
  entities: Entities,
  options?: object,
) => Promise<{ dataSource: DataSource; drop: () => Promise<void> }>

const local = (name: string, make: (entities: Entities, options: object) => DataSource): TestStore => ({
  name,
  require: () => Promise.resolve(),
  create: (entities, options = {}) => {
    const dataSource = make(entities, options)
    const drop = async () => {
      if (dataSource.isInitialized) await dataSource.destroy()
    }
    return Promise.resolve({ dataSource, drop })
  },
})

export const sqliteInMemory = local('SQLite in memory', inMemory)
export const sqliteFile = local('a SQLite file', (entities, options) => inFile(entities, undefined, options))
export const postgres: TestStore = { name: 'Postgres', require: requirePostgres, create: createPostgres }
export const mariaDb: TestStore = { name: 'MariaDB', require: requireMariaDb, create: createMariaDb }

import 'reflect-metadata'
import { DataSource, type DataSourceOptions, type EntityManager } from 'typeorm'
import type { Place } from '../places/place'
import { USERS, userOf } from '../model/users'

type Entity = new () => object

export interface DriverOptions {
  /** Instead of the package that TypeORM would load. */
  readonly driver: object
}

/** The data source that every side reloads its rows through: the first database of the place. */
export function dataSourceOf(place: Place, entity: Entity, options?: DriverOptions): DataSource {
  return new DataSource({
    ...connectionOf(place),
    ...options,
    entities: [entity],
    synchronize: place.isBlank,
    logging: false,
  })
}

function connectionOf({ postgres, mariadb, sqlite, pool }: Place): DataSourceOptions {
  if (postgres) return { type: 'postgres', ...postgres, username: postgres.user, poolSize: pool }
  if (mariadb) return { type: 'mariadb', ...mariadb, username: mariadb.user, poolSize: pool }
  return { type: 'better-sqlite3', database: sqlite ?? '', enableWAL: true }
}

/** The other statement of a transaction that saves and calls. */
export async function renameUser(manager: EntityManager, entity: Entity, id: number): Promise<void> {
  await manager.update(entity, { id }, { name: `Renamed ${id}` })
}

/** On a blank place `initialize()` has created the tables. */
export async function layUsers(dataSource: DataSource, entity: Entity): Promise<void> {
  const ids = Array.from({ length: USERS }, (_, index) => index + 1)
  for (let start = 0; start < ids.length; start += 1_000) {
    const rows = ids.slice(start, start + 1_000).map((id) => userOf(id))
    await dataSource.createQueryBuilder().insert().into(entity).values(rows).updateEntity(false).execute()
  }
  if (dataSource.options.type !== 'postgres') return
  await dataSource.query(`SELECT setval(pg_get_serial_sequence('bench_user', 'id'), ${USERS})`)
}

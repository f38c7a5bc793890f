import { createHash } from 'node:crypto'
import { EntitySchema, InstanceChecker, type DataSource, type EntitySchemaOptions } from 'typeorm'
import { dialectOf, type Dialect } from '../database/dialect'
import type { EntityTargets } from '../handlers/contract/handler'

/** In bytes. MariaDB and MySQL refuse a longer name; Postgres cuts it. */
const LONGEST: Readonly<Record<Dialect, number>> = { mariadb: 64, postgres: 63, sqlite: Infinity }

/**
 * The same table with index names that are short enough for the database. A naming strategy that lists the columns in the
 * name of an index makes names that are too long; those are cut, and end with a hash of the whole name. All other names
 * are left to the strategy, so that existing tables need no migration.
 */
export function withShortIndexNames(entity: EntityTargets[number], dataSource: DataSource): EntityTargets[number] {
  const dialect = dialectOf(dataSource.options.type)
  if (!dialect || !InstanceChecker.isEntitySchema(entity)) return entity
  const { options } = entity
  const named = (options.indices ?? []).map((index) => {
    const name = index.name ?? nameOf(index, options, dataSource)
    return Buffer.byteLength(name) > LONGEST[dialect] ? { ...index, name: shortened(name, LONGEST[dialect]) } : index
  })
  if (named.every((index, position) => index === options.indices?.[position])) return entity
  return new EntitySchema({ ...options, indices: named })
}

type Index = NonNullable<EntitySchemaOptions<object>['indices']>[number]

/** The name that TypeORM would give it. */
function nameOf(
  index: Index,
  options: EntitySchemaOptions<object>,
  { namingStrategy, options: { entityPrefix } }: DataSource,
) {
  const columnNames = Object.fromEntries(
    Object.entries(options.columns).map(([property, column]) => [property, (column as { name?: string }).name]),
  )
  const own = namingStrategy.tableName(options.name, options.tableName)
  const table = entityPrefix ? namingStrategy.prefixTableName(entityPrefix, own) : own
  const properties = Array.isArray(index.columns) ? (index.columns as string[]) : []
  const columns = properties.map((property) => namingStrategy.columnName(property, columnNames[property], []))
  return namingStrategy.indexName(table, columns, index.where)
}

function shortened(name: string, longest: number): string {
  const hash = createHash('sha1').update(name).digest('hex').slice(0, 8)
  let kept = name
  while (Buffer.byteLength(kept) > longest - 9) kept = kept.slice(0, -1)
  return `${kept.toWellFormed()}_${hash}`
}

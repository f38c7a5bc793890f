import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RowChange } from './subscriber'

type ColumnMetadata = EntityMetadata['columns'][number]

/**
 * The row after a change, as an instance of its class with all that TypeORM knows of it: `save` takes plain objects and
 * parts of a row as well.
 */
export function rowAfter(change: RowChange): object {
  const { entity, metadata } = change
  // Virtual columns belong to their relations.
  const columns = metadata.columns.filter(({ isVirtual }) => !isVirtual)
  const isWhole = columns.every((column) => valueAfter(column, change) === column.getEntityValue(entity))
  if (isWhole && isInstance(entity, metadata)) return entity

  const row = newInstance(metadata)
  copyOtherProperties(entity, row, metadata)
  for (const column of columns) {
    const value = valueAfter(column, change)
    if (value !== undefined) column.setEntityValue(row, value)
  }
  for (const relation of metadata.relations) {
    const value: unknown = relation.getEntityValue(entity)
    if (value !== undefined) relation.setEntityValue(row, value)
  }
  return row
}

/** The given value, or the value before the change. */
function valueAfter(column: ColumnMetadata, { type, entity, databaseEntity, updatedColumns }: RowChange): unknown {
  if (column.isDeleteDate && type === 'recover') return null
  const given: unknown = column.getEntityValue(entity)
  const before: unknown = databaseEntity && column.getEntityValue(databaseEntity)
  if (given === undefined) return before
  // TypeORM sets nullable columns that were not given to null, so a column that was not updated keeps its value.
  const isFilled = given === null && before !== undefined && !column.isDeleteDate
  return isFilled && !updatedColumns?.some(({ propertyPath }) => propertyPath === column.propertyPath) ? before : given
}

function isInstance(entity: object, { target }: EntityMetadata): boolean {
  return typeof target === 'function' && entity instanceof target
}

function newInstance(metadata: EntityMetadata): ObjectLiteral {
  try {
    return metadata.create()
  } catch {
    return Object.create((metadata.target as { prototype: object }).prototype) as ObjectLiteral // the constructor needs arguments
  }
}

/** Properties that the application has added beside the columns. They never hide a member of the class. */
function copyOtherProperties(entity: object, row: ObjectLiteral, metadata: EntityMetadata): void {
  const known = new Set<string>()
  for (const { propertyName } of [...metadata.columns, ...metadata.relations, ...metadata.embeddeds])
    known.add(propertyName)
  for (const [name, value] of Object.entries(entity)) {
    if (known.has(name) || (name in row && !Object.hasOwn(row, name))) continue
    row[name] = value as unknown
  }
}

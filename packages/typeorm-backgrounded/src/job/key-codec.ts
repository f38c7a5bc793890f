import { types as kinds } from 'node:util'
import type { DataSource, EntityMetadata, ObjectLiteral } from 'typeorm'
import { InvalidKeyError, MissingKeyError } from '../errors'
import type { JobKey } from './envelope'
import { isJsonObject, type JsonObject } from './json'
import { kindOf, typeOf, type Column } from './key-kinds'
import { isRounded, type KeyKind, type KeyPart, type StoredPart } from './key-kinds/key-kind'

/** The key of a stored job, checked against the columns of its entity. */
export interface ReadKey {
  /** Equal for equal keys, however their values were written. */
  readonly text: string
  /** In the order of the primary columns. */
  readonly parts: readonly KeyPart[]
}

/**
 * The primary key of `entity` as a job stores it: the values that the database holds and compares, by property path. A
 * key that is an object becomes its column's value, and a `Date` in a date column becomes the day that TypeORM writes.
 * @throws MissingKeyError when a part is not set yet, InvalidKeyError when its column cannot hold it
 */
export function keyOf(metadata: EntityMetadata, entity: ObjectLiteral): JobKey {
  const key: JobKey = {}
  for (const { column, path, kind } of keyColumns(metadata)) {
    const value: unknown = column.getEntityValue(entity, !kind.isPrepared)
    if (isUnset(value)) throw new MissingKeyError(metadata.name, path)
    const part = storedPart(metadata, column, kind, value)
    if (part === undefined)
      throw new InvalidKeyError(`The ${path} of this ${metadata.name} is not a value that a key can have.`)
    if (typeof part === 'number') refuseRounded(metadata, path, kind.read(part))
    key[path] = part
  }
  return key
}

/** The same for a key that was given without an entity, as `reference()` takes it. */
export function keyFromValue(metadata: EntityMetadata, value: unknown): JobKey {
  return keyOf(metadata, isKeyObject(metadata, value) ? (value as ObjectLiteral) : lone(metadata, value))
}

/**
 * Reads the key of a stored job, which another program may have written.
 * @throws InvalidKeyError unless it names exactly the primary columns, with values that fit them
 */
export function readKey(metadata: EntityMetadata, key: JsonObject): ReadKey {
  const columns = keyColumns(metadata)
  for (const path of Object.keys(key)) {
    if (!columns.some((column) => column.path === path)) {
      throw new InvalidKeyError(`The key names "${path}", which is not a primary column of ${metadata.name}.`)
    }
  }
  const parts = columns.map(({ column, path, kind }) => {
    const stored = key[path]
    if (typeof stored !== 'string' && typeof stored !== 'number' && typeof stored !== 'boolean') {
      throw new InvalidKeyError(`The key of ${metadata.name} has no value for "${path}".`)
    }
    const part = kind.read(stored)
    refuseRounded(metadata, path, part)
    if (part) return part
    const type = typeOf(column, dataSourceOf(metadata))
    throw new InvalidKeyError(`The key of ${metadata.name} has ${JSON.stringify(stored)} for the ${type} "${path}".`)
  })
  return { text: textOf(parts), parts }
}

/** Whether the keys of loaded rows show the values that are stored, so that rows can be matched by them. */
export function isShownAsStored(metadata: EntityMetadata): boolean {
  return keyColumns(metadata).every(({ kind }) => kind.isShownAsStored !== false)
}

/** The key of a loaded row as a text, or undefined where the row does not show exactly one valid key. */
export function keyTextOfRow(metadata: EntityMetadata, row: ObjectLiteral): string | undefined {
  const parts = partsOfRow(metadata, row)
  return parts.every(isExact) ? textOf(parts) : undefined
}

/** Whether the row that the database found by `key` is the right one, because databases compare values in their own ways. */
export function isRowOf(metadata: EntityMetadata, { parts }: ReadKey, row: ObjectLiteral): boolean {
  const found = partsOfRow(metadata, row)
  return keyColumns(metadata).every(({ kind }, index) => {
    if (!kind.isSame) return true
    const part = found[index]
    return part !== undefined && kind.isSame(parts[index] as KeyPart, part)
  })
}

/** Equal for equal stored keys. */
export function keyText(key: JsonObject): string {
  const paths = Object.keys(key)
  if (paths.length === 1) return String(key[paths[0] as string])
  return JSON.stringify(paths.sort().map((path) => String(key[path])))
}

interface KeyColumn {
  readonly column: Column
  readonly path: string
  readonly kind: KeyKind
}

const known = new WeakMap<EntityMetadata, readonly KeyColumn[]>()

function keyColumns(metadata: EntityMetadata): readonly KeyColumn[] {
  let columns = known.get(metadata)
  if (!columns) {
    const dataSource = dataSourceOf(metadata)
    columns = metadata.primaryColumns.map((column) => ({
      column,
      path: column.propertyPath,
      kind: kindOf(column, dataSource),
    }))
    known.set(metadata, columns)
  }
  return columns
}

/** TypeORM 0.3 has only `connection`. */
function dataSourceOf(metadata: EntityMetadata): DataSource {
  return (metadata.dataSource ?? metadata.connection) as DataSource
}

function storedPart(metadata: EntityMetadata, column: Column, kind: KeyKind, value: unknown): StoredPart | undefined {
  if (!kind.isPrepared) return kind.store(value)
  // TypeORM does not recognise a `Date` of another realm, such as Jest's.
  const own = kinds.isDate(value) ? new Date(value.getTime()) : value
  if (kinds.isDate(own) && Number.isNaN(own.getTime())) return undefined
  return kind.store(dataSourceOf(metadata).driver.preparePersistentValue(own, column))
}

function partsOfRow(metadata: EntityMetadata, row: ObjectLiteral): (KeyPart | undefined)[] {
  return keyColumns(metadata).map(({ column, kind }) => {
    const value: unknown = column.getEntityValue(row, !kind.isPrepared)
    const stored = isUnset(value) ? undefined : storedPart(metadata, column, kind, value)
    return stored === undefined ? undefined : kind.read(stored)
  })
}

function isExact(part: KeyPart | undefined): part is KeyPart {
  return part !== undefined && !isRounded(part)
}

/** A fraction with many digits is not refused, because SQLite stores such a number as it shows it. */
function refuseRounded({ name }: EntityMetadata, path: string, part: KeyPart | undefined): void {
  if (!part || !isRounded(part) || !Number.isInteger(part.number)) return
  throw new InvalidKeyError(
    `The ${path} of this ${name} is the number ${part.text}, which may have been rounded because it is above 2^53: ` +
      `give the key as a text or a bigint.`,
  )
}

function textOf(parts: readonly KeyPart[]): string {
  const [first, ...more] = parts
  return first && more.length === 0 ? first.text : JSON.stringify(parts.map(({ text }) => text))
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null
}

function isKeyObject(metadata: EntityMetadata, value: unknown): boolean {
  if (!isJsonObject(value)) return false
  return metadata.primaryColumns.every((column) => column.getEntityValue(value as ObjectLiteral) !== undefined)
}

function lone(metadata: EntityMetadata, value: unknown): ObjectLiteral {
  const [column, ...more] = metadata.primaryColumns
  if (!column || more.length > 0 || (isPlainObject(value) && !column.transformer && !isJsonColumn(column))) {
    const paths = metadata.primaryColumns.map((each) => each.propertyPath).join(', ')
    throw new InvalidKeyError(`The key of ${metadata.name} is made of ${paths}: give an object with all of them.`)
  }
  const entity: ObjectLiteral = {}
  column.setEntityValue(entity, value)
  return entity
}

/** An object that lists the parts of a key, as opposed to a `Date` or a `Buffer`, which is itself a value. */
function isPlainObject(value: unknown): boolean {
  return isJsonObject(value) && !kinds.isDate(value) && !kinds.isUint8Array(value)
}

function isJsonColumn(column: Column): boolean {
  return column.type === 'json' || column.type === 'jsonb' || column.type === 'simple-json'
}

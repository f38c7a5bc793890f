import { types as kinds } from 'node:util'
import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { InvalidKeyError, MissingKeyError } from '../errors'
import type { JobKey } from './envelope'
import { isJsonObject, type JsonObject } from './json'

type Column = EntityMetadata['primaryColumns'][number]

/**
 * The primary key of `entity` as a job stores it: what the database holds, by property path.
 * Transformers are applied, so that an object-valued key becomes its column's value.
 * @throws MissingKeyError when a part is not set yet
 */
export function keyOf(metadata: EntityMetadata, entity: ObjectLiteral): JobKey {
  const key: JobKey = {}
  for (const column of metadata.primaryColumns) {
    const value: unknown = column.getEntityValue(entity, true)
    if (value === undefined || value === null) throw new MissingKeyError(metadata.name, column.propertyPath)
    key[column.propertyPath] = toJson(value, metadata, column)
  }
  return key
}

/** The same for a key that was given without an entity, as to `reference()`. */
export function keyFromValue(metadata: EntityMetadata, value: unknown): JobKey {
  return keyOf(metadata, isKeyObject(metadata, value) ? (value as ObjectLiteral) : lone(metadata, value))
}

/**
 * The key of a stored job as a TypeORM `where`.
 * @throws InvalidKeyError when it is not exactly the primary columns, or a value does not fit its column
 */
export function whereOf(metadata: EntityMetadata, key: JsonObject): ObjectLiteral {
  const columns = metadata.primaryColumns
  for (const path of Object.keys(key)) {
    if (!columns.some((column) => column.propertyPath === path)) {
      throw new InvalidKeyError(`The key names "${path}", which is no primary column of ${metadata.name}.`)
    }
  }
  const where: ObjectLiteral = {}
  for (const column of columns) column.setEntityValue(where, fromJson(key, metadata, column))
  return where
}

/** The same text for the same row, however the values were written. */
export function keyText(key: JsonObject): string {
  const paths = Object.keys(key)
  if (paths.length === 1) return String(key[paths[0] as string])
  return JSON.stringify(paths.sort().map((path) => String(key[path])))
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

/** An object that lists key parts, as opposed to a value that is one: a Date, a Buffer. */
function isPlainObject(value: unknown): boolean {
  return isJsonObject(value) && !kinds.isDate(value) && !kinds.isUint8Array(value)
}

function toJson(value: unknown, metadata: EntityMetadata, column: Column): string | number | boolean {
  if (isJsonColumn(column)) return canonicalJson(value)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'bigint') return value.toString()
  if (kinds.isDate(value) && !Number.isNaN(value.getTime())) return value.toISOString()
  if (kinds.isUint8Array(value)) return Buffer.from(value).toString('base64')
  throw new InvalidKeyError(`The ${column.propertyPath} of this ${metadata.name} is no value that a key can have.`)
}

function fromJson(key: JsonObject, metadata: EntityMetadata, column: Column): unknown {
  const value = key[column.propertyPath]
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw new InvalidKeyError(`The key of ${metadata.name} has no value for "${column.propertyPath}".`)
  }
  const stored = fitToColumn(value, metadata, column)
  return applyFrom(column, stored)
}

/** The stored value in the column's own JavaScript type. */
function fitToColumn(value: string | number | boolean, metadata: EntityMetadata, column: Column): unknown {
  const type = typeOf(metadata, column)
  const misfit = () =>
    new InvalidKeyError(
      `The key of ${metadata.name} has ${JSON.stringify(value)} for the ${type} "${column.propertyPath}".`,
    )
  const limit = INTEGER_LIMITS.get(type)
  if (limit !== undefined) {
    const isSafe = Number.isSafeInteger(value)
    if (!isSafe && !/^-?\d{1,20}$/.test(String(value))) throw misfit()
    const number = isSafe ? (value as number) : BigInt(value)
    if (number > limit || (number < 0 && number < -limit - 1n)) throw misfit()
    return value
  }
  if (type === 'uuid' && !UUID.test(String(value))) throw misfit()
  if (isTimestamp(type)) {
    const date = new Date(typeof value === 'string' ? value : NaN)
    if (Number.isNaN(date.getTime())) throw misfit()
    return date
  }
  if (isJsonColumn(column)) {
    try {
      return JSON.parse(String(value))
    } catch {
      throw misfit()
    }
  }
  if (BINARY.has(type)) {
    if (typeof value !== 'string') throw misfit()
    return Buffer.from(value, 'base64')
  }
  return value
}

const columnTypes = new WeakMap<Column, string>()

function typeOf(metadata: EntityMetadata, column: Column): string {
  let type = columnTypes.get(column)
  if (type === undefined) {
    type = (metadata.dataSource ?? metadata.connection).driver.normalizeType(column)
    columnTypes.set(column, type)
  }
  return type
}

/** What the class shows for a stored value; `find` applies the way back. */
function applyFrom(column: Column, stored: unknown): unknown {
  if (!column.transformer) return stored
  const transformers = Array.isArray(column.transformer) ? [...column.transformer].reverse() : [column.transformer]
  return transformers.reduce<unknown>((value, transformer) => transformer.from(value), stored)
}

function isJsonColumn(column: Column): boolean {
  return column.type === 'json' || column.type === 'jsonb'
}

/** The same text for the same value: jsonb does not keep the order of properties. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isJsonObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  )
}

const INT2 = 2n ** 15n - 1n
const INT4 = 2n ** 32n - 1n // unsigned on MySQL; Postgres says no to the rest by itself
const INT8 = 2n ** 64n - 1n
const INTEGER_LIMITS = new Map<string, bigint>([
  ['smallint', INT2 * 2n + 1n],
  ['int2', INT2],
  ['int', INT4],
  ['int4', 2n ** 31n - 1n],
  ['mediumint', INT4],
  ['tinyint', INT2],
  ['integer', INT8], // SQLite's holds 64 bits
  ['bigint', INT8],
  ['int8', 2n ** 63n - 1n],
  ['unsigned big int', INT8],
])
const BINARY = new Set(['blob', 'bytea', 'binary', 'varbinary'])
const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i

function isTimestamp(type: string): boolean {
  return type.startsWith('timestamp') || type.startsWith('datetime')
}

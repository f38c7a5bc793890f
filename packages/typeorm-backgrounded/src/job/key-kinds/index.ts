import type { DataSource, EntityMetadata } from 'typeorm'
import { dialectOf, type Dialect } from '../../database/dialect'
import type { KeyKind } from './key-kind'
import { bitKind, booleanKind, decimalKind, floatKind, integerKind } from './numbers'
import { binaryKind, jsonKind, otherKind, preparedTextKind, textKind, uuidKind } from './texts'
import { dateKind, momentKind, timeKind } from './times'

export type Column = EntityMetadata['primaryColumns'][number]

/** How the values of a primary column are kept in keys, by the column's type. */
export function kindOf(column: Column, dataSource: DataSource): KeyKind {
  const type = typeOf(column, dataSource)
  const dialect = dialectOf(dataSource.options.type)
  if (column.isArray) return otherKind
  if (BOOLEANS.has(column.type)) return booleanKind(dialect !== 'sqlite' && dialect !== 'mariadb')
  const limit = INTEGER_LIMITS.get(type)
  if (limit !== undefined) return integerKind(limit)
  if (type === 'bit' && dialect === 'mariadb') return bitKind
  if (DECIMALS.has(type)) return decimalKind
  if (FLOATS.has(type)) return floatKind
  if (type === 'uuid') return uuidKind
  if (type === 'json' || type === 'jsonb') return jsonKind(dialect === 'sqlite' || dialect === 'mariadb')
  if (BINARY.test(type)) return binaryKind(type === 'binary' ? Number(column.length) || 1 : 0)
  if (type === 'date') return dateKind(dateOptions(column, dataSource, dialect))
  if (type === 'time' || type === 'time without time zone') return timeKind(dialect === 'sqlite')
  if (MOMENT.test(type)) return momentKind({ dialect, ...momentType(column, type, dialect) })
  // Postgres refuses to compare different types; MariaDB, MySQL and SQLite convert one of the two values.
  if ((dialect === 'postgres' || dialect === undefined) && !TEXT.test(type)) return otherKind
  return PREPARED.test(String(column.type)) ? preparedTextKind : textKind
}

/** The name of a column's type as messages show it. */
export function typeOf(column: Column, dataSource: DataSource): string {
  return dataSource.driver.normalizeType(column)
}

function dateOptions(column: Column, { options }: DataSource, dialect: Dialect | undefined) {
  const { timezone = 'local', dateStrings } = options as { timezone?: string; dateStrings?: boolean | string[] }
  // mysql2 turns a day into a `Date` in the connection's time zone; TypeORM turns that into a day in the process's zone.
  const isShifted = dialect === 'mariadb' && timezone !== 'local' && !dateStrings
  return {
    isText: dialect === 'sqlite',
    utc: (column as { utc?: boolean }).utc ?? false, // not in every TypeORM 0.3
    isShownAsStored: !isShifted,
  }
}

function momentType({ precision }: Column, type: string, dialect: Dialect | undefined) {
  if (dialect === 'mariadb') return { precision: precision ?? 0, castTo: `DATETIME(${precision ?? 0})` }
  if (dialect === 'postgres')
    return { precision: precision ?? 6, castTo: type.replace(/^\w+/, `$&(${precision ?? 6})`) }
  return { precision: 3, castTo: type }
}

const BOOLEANS = new Set<unknown>([Boolean, 'bool', 'boolean'])

const INT2 = 2n ** 15n - 1n
const INT4 = 2n ** 32n - 1n // unsigned on MySQL; Postgres itself refuses values that are too large for it
const INT8 = 2n ** 64n - 1n
const INTEGER_LIMITS = new Map<string, bigint>([
  ['smallint', INT2 * 2n + 1n],
  ['int2', INT2],
  ['int', INT4],
  ['int4', 2n ** 31n - 1n],
  ['mediumint', INT4],
  ['tinyint', INT2],
  ['year', INT2],
  ['integer', INT8], // SQLite's holds 64 bits
  ['bigint', INT8],
  ['int8', 2n ** 63n - 1n],
  ['unsigned big int', INT8],
])
const DECIMALS = new Set(['decimal', 'numeric', 'dec', 'fixed'])
const FLOATS = new Set(['float', 'float4', 'float8', 'real', 'double', 'double precision'])
const BINARY = /^(bytea|(tiny|medium|long)?blob|(var)?binary)$/
const MOMENT = /^(timestamp|datetime)/
const TEXT = /char|text|clob|enum/
const PREPARED = /enum|^set$|^simple-/

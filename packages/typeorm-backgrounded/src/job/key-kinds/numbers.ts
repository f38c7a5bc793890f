import { types as kinds } from 'node:util'
import { isRounded, isSameText, type KeyKind, type KeyPart, type StoredPart } from './key-kind'

/** @param limit the largest value; the smallest is `-limit - 1` */
export function integerKind(limit: bigint): KeyKind {
  const fits = (number: number | bigint) => number <= limit && number >= -limit - 1n
  return {
    store(value) {
      const written = typeof value === 'bigint' ? value.toString() : value
      return isWritten(written, INTEGER) && fits(BigInt(written)) ? written : undefined
    },
    read(stored) {
      if (!isWritten(stored, INTEGER)) return undefined
      const number = Number(stored)
      if (Number.isSafeInteger(number)) return fits(number) ? { text: String(number), value: number } : undefined
      const text = BigInt(stored).toString()
      return fits(BigInt(text)) ? { text, value: text, ...asNumber(stored) } : undefined
    },
    isSame: isSameNumber,
  }
}

/** A `bit` column of MariaDB or MySQL. Its values are compared as numbers, and the driver shows their bytes. */
export const bitKind: KeyKind = {
  store(value) {
    if (kinds.isUint8Array(value)) return BigInt(`0x0${Buffer.from(value).toString('hex')}`).toString()
    return bits.store(typeof value === 'boolean' ? Number(value) : value)
  },
  read(stored) {
    const part = bits.read(stored)
    return part && { ...part, condition: (column, bind, value) => `${column} = CAST(${bind(value)} AS UNSIGNED)` }
  },
  isSame: isSameText,
}

export const decimalKind: KeyKind = {
  store: numberAsWritten,
  read(stored) {
    const text = isWritten(stored, DECIMAL) ? decimalText(String(stored)) : undefined
    return text === undefined ? undefined : { text, value: text, ...asNumber(stored) }
  },
  isSame: isSameNumber,
}

export const floatKind: KeyKind = {
  store: numberAsWritten,
  read(stored) {
    const number = isWritten(stored, DECIMAL) ? Number(stored) : NaN
    return Number.isFinite(number) ? { text: String(Math.fround(number)), value: number } : undefined
  },
  isSame: isSameText,
}

/** @param isNative whether the database has a boolean type; where it has not, the column holds 0 or 1 */
export function booleanKind(isNative: boolean): KeyKind {
  return {
    store: (value) => truth(value),
    read(stored) {
      const value = truth(stored)
      return value === undefined ? undefined : { text: String(value), value: isNative ? value : Number(value) }
    },
    isSame: isSameText,
  }
}

const bits = integerKind(2n ** 64n - 1n)
const INTEGER = /^-?\d{1,30}$/
const DECIMAL = /^[+-]?(\d{1,500}(\.\d{0,500})?|\.\d{1,500})(e[+-]?\d{1,3})?$/i

function numberAsWritten(value: unknown): StoredPart | undefined {
  if (typeof value === 'bigint') return value.toString()
  return isWritten(value, DECIMAL) ? value : undefined
}

function isWritten(value: unknown, form: RegExp): value is string | number {
  return (typeof value === 'string' || typeof value === 'number') && form.test(String(value))
}

function asNumber(stored: StoredPart): { number?: number } {
  return typeof stored === 'number' ? { number: stored } : {}
}

/** The database has compared all digits. A driver that shows numbers, such as SQLite's, rounds those of the row. */
function isSameNumber(asked: KeyPart, found: KeyPart): boolean {
  return isSameText(asked, found) || (isRounded(found) && Number(asked.text) === found.number)
}

/** Without leading zeros, trailing zeros of the fraction, and exponent: '1.50' and '15e-1' both become '1.5'. */
function decimalText(written: string): string {
  const [mantissa = '', exponent = '0'] = written.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.replace(/^[+-]/, '').split('.')
  const shift = Number(exponent)
  const digits = whole + fraction + '0'.repeat(Math.max(0, shift - fraction.length))
  const point = whole.length + shift
  const padded = point < 0 ? '0'.repeat(-point) + digits : digits
  const before = padded.slice(0, Math.max(0, point)).replace(/^0+/, '') || '0'
  const after = padded.slice(Math.max(0, point)).replace(/0+$/, '')
  const text = after ? `${before}.${after}` : before
  return mantissa.startsWith('-') && text !== '0' ? `-${text}` : text
}

function truth(value: unknown): boolean | undefined {
  if (value === true || value === 1 || value === 'true' || value === '1' || value === 't') return true
  if (value === false || value === 0 || value === 'false' || value === '0' || value === 'f') return false
  return undefined
}

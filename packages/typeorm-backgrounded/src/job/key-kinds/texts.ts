import { types as kinds } from 'node:util'
import { isJsonObject } from '../json'
import { isSameText, type KeyKind, type KeyPart } from './key-kind'

/**
 * Keys of text columns are always sent as text, because MariaDB and MySQL turn a text that is compared with a number into
 * a number, and most texts become 0.
 */
export const textKind: KeyKind = {
  store: textOf,
  read: (stored) => partOf(textOf(stored)),
  // Some collations treat 'ABC' and 'abc ' as equal, and char columns are padded; a key has one such row there.
  isSame: (asked, found) => isSameText(asked, found) || foldedText(asked) === foldedText(found),
}

/** A text column whose values the driver converts to text, such as an enum of numbers. */
export const preparedTextKind: KeyKind = { ...textKind, isPrepared: true }

export const uuidKind: KeyKind = {
  store: (value) => (typeof value === 'string' && UUID.test(value) ? value : undefined),
  read(stored) {
    if (typeof stored !== 'string' || !UUID.test(stored)) return undefined
    return { text: stored.replaceAll(/[{}-]/g, '').toLowerCase(), value: stored }
  },
  isSame: isSameText,
}

/**
 * Bytes, which a job keeps as base64.
 * @param length of a column whose shorter values the database pads with zeros
 */
export function binaryKind(length = 0): KeyKind {
  return {
    store: (value) => (kinds.isUint8Array(value) ? Buffer.from(value).toString('base64') : undefined),
    read(stored) {
      if (typeof stored !== 'string' || !BASE64.test(stored)) return undefined
      const written = Buffer.from(stored, 'base64')
      const value = Buffer.concat([written, Buffer.alloc(Math.max(0, length - written.length))])
      return { text: value.toString('base64'), value }
    },
    isSame: isSameText,
  }
}

/** @param isOrdered whether the database keeps the text that TypeORM writes; jsonb loses the order of properties */
export function jsonKind(isOrdered: boolean): KeyKind {
  return {
    store: (value) => (isOrdered ? JSON.stringify(value) : canonicalJson(value)),
    read(stored) {
      if (typeof stored !== 'string') return undefined
      try {
        return { text: canonicalJson(JSON.parse(stored)), value: stored }
      } catch {
        return undefined
      }
    },
    isSame: isSameText,
  }
}

/** A type with rules of its own, such as `inet` or `interval`. The database decides, because it is strict about types. */
export const otherKind: KeyKind = {
  isPrepared: true,
  store: (value) => (typeof value === 'boolean' ? value : textOf(value)),
  read: (stored) => ({ text: String(stored), value: stored }),
}

const UUID = /^\{?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$/i
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const isNumber = (typeof value === 'number' && Number.isFinite(value)) || typeof value === 'bigint'
  return isNumber ? String(value) : undefined
}

function partOf(text: string | undefined): KeyPart | undefined {
  return text === undefined ? undefined : { text, value: text }
}

function foldedText({ text }: KeyPart): string {
  return withoutEndingSpaces(text.normalize().toUpperCase())
}

/** Without a regular expression, which would read a run of spaces again from each of them. */
function withoutEndingSpaces(text: string): string {
  let end = text.length
  while (text[end - 1] === ' ') end--
  return text.slice(0, end)
}

/** Equal for equal values, whatever the order of their properties. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isJsonObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  )
}

import { types as kinds } from 'node:util'
import { isJsonObject } from '../json'
import { isSameText, type KeyKind, type KeyPart } from './key-kind'

/**
 * A text is compared with a text. MariaDB and MySQL make a number of a text that is compared with a number, and most
 * texts are 0.
 */
export const textKind: KeyKind = {
  store: textOf,
  read: (stored) => partOf(textOf(stored)),
  // Some collations know no difference between 'ABC' and 'abc ', and char columns are padded: they have one such row.
  isSame: (asked, found) => isSameText(asked, found) || foldedText(asked) === foldedText(found),
}

/** A text of which the driver makes another one, as of an enum's number. */
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
 * In a job it is base64.
 * @param length to which the database fills shorter values with zeros
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

/** @param isOrdered the database keeps the text that TypeORM writes; jsonb does not keep the order of properties */
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

/** A type with a mind of its own, as `inet` or `interval`: the database, which is strict about types, decides. */
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
  return text.normalize().toUpperCase().replace(/ +$/, '')
}

/** The same text for the same value. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isJsonObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  )
}

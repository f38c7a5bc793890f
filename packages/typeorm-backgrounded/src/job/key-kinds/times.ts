import { types as kinds } from 'node:util'
import type { Dialect } from '../../database/dialect'
import type { Condition, KeyKind, KeyPart } from './key-kind'

export interface DateKindOptions {
  /** The column holds the very text that was written. */
  readonly isText: boolean
  /** The column's own option: a `Date` stands for its day in UTC. */
  readonly utc: boolean
  readonly isShownAsStored: boolean
}

/** A day; of a `Date` the one that TypeORM writes. */
export function dateKind({ isText, utc, isShownAsStored }: DateKindOptions): KeyKind {
  const day = (value: unknown) => {
    if (typeof value !== 'string') return undefined
    if (DAY.test(value) || isText) return value
    return DAY_AND_TIME.test(value) ? value.slice(0, 10) : undefined
  }
  return {
    isPrepared: true,
    store: day,
    read(stored) {
      // A job may hold the moment of a `Date`, written by another program.
      const isMoment = typeof stored === 'string' && MOMENT.test(stored)
      const value = isMoment ? dayOf(new Date(stored), utc) : day(stored)
      return value === undefined ? undefined : { text: value, value }
    },
    ...(!isShownAsStored && { isShownAsStored }),
  }
}

/** @param isText the column holds the very text that was written */
export function timeKind(isText: boolean): KeyKind {
  return {
    isPrepared: true,
    store: (value) => (typeof value === 'string' && (isText || TIME.test(value)) ? value : undefined),
    read(stored) {
      if (typeof stored !== 'string') return undefined
      const [, hours, rest = ':00', fraction = ''] = TIME.exec(stored) ?? []
      if (hours === undefined) return isText ? { text: stored, value: stored } : undefined
      return { text: `${hours}${rest}${fraction.replace(/\.?0*$/, '')}`, value: stored }
    },
  }
}

export interface MomentKindOptions {
  readonly dialect: Dialect | undefined
  /** Digits of a second that the column keeps. */
  readonly precision: number
  /** Of the column with its precision, to cast to. */
  readonly castTo: string
}

/** A moment, as a `Date` or the text of one. */
export function momentKind(options: MomentKindOptions): KeyKind {
  return {
    store(value) {
      if (kinds.isDate(value)) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
      const written = typeof value === 'string' ? writtenMoment(value) : undefined
      if (!written) return undefined
      return written.isFiner ? (value as string) : localOrZoned(written).toISOString()
    },
    read(stored) {
      const written = typeof stored === 'string' ? writtenMoment(stored) : undefined
      if (!written) return undefined
      return options.dialect === 'sqlite' ? sqlitePart(written) : serverPart(written, options)
    },
  }
}

/** SQLite has the text that TypeORM writes, or what `CURRENT_TIMESTAMP` made. */
function sqlitePart(written: WrittenMoment): KeyPart {
  const date = new Date(`${written.dayAndTime}${written.milliseconds}${written.zone || 'Z'}`)
  const value = date.toISOString().replace('T', ' ').replace('Z', '')
  const text = date.toISOString()
  if (!value.endsWith('.000')) return { text, value }
  return { text, value, condition: (column, bind) => `${column} IN (${bind(value)}, ${bind(value.slice(0, -4))})` }
}

function serverPart(written: WrittenMoment, options: MomentKindOptions): KeyPart {
  const date = localOrZoned(written)
  const text = date.toISOString()
  const asWritten = `${written.dayAndTime.replace('T', ' ')}${written.fraction}`
  // Text without a zone is what the database itself shows.
  if (written.zone === '' && (written.isFiner || options.dialect === 'mariadb')) return { text, value: asWritten }
  if (written.isFiner && options.dialect === 'postgres') return { text, value: asWritten + written.zone }
  return { text, value: date, condition: conditionOf(date, options) }
}

/** A `Date` has milliseconds: a column that has fewer digits cuts or rounds it, and of one with more it is the beginning. */
function conditionOf(date: Date, { precision, castTo }: MomentKindOptions): Condition | undefined {
  if (precision === 3) return undefined
  if (precision < 3) return (column, bind) => `${column} = CAST(${bind(date)} AS ${castTo})`
  const next = new Date(date.getTime() + 1)
  return (column, bind) => `(${column} >= ${bind(date)} AND ${column} < ${bind(next)})`
}

interface WrittenMoment {
  /** 'YYYY-MM-DDTHH:MM:SS' */
  readonly dayAndTime: string
  readonly fraction: string
  /** The fraction, up to milliseconds. */
  readonly milliseconds: string
  /** Empty: none. */
  readonly zone: string
  /** It says more than a `Date` can. */
  readonly isFiner: boolean
}

function writtenMoment(text: string): WrittenMoment | undefined {
  const [, day, time = '00:00', seconds = ':00', fraction = '', zone = ''] = MOMENT_PARTS.exec(text) ?? []
  if (day === undefined) return undefined
  const written = {
    dayAndTime: `${day}T${time}${seconds}`,
    fraction,
    milliseconds: fraction.slice(0, 4),
    zone: /[+-]\d\d$/.test(zone) ? `${zone}:00` : zone,
    isFiner: /[1-9]/.test(fraction.slice(4)),
  }
  return Number.isNaN(localOrZoned(written).getTime()) ? undefined : written
}

function localOrZoned({ dayAndTime, milliseconds, zone }: Omit<WrittenMoment, 'isFiner'>): Date {
  return new Date(`${dayAndTime}${milliseconds}${zone}`)
}

function dayOf(date: Date, utc: boolean): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined
  const parts = utc
    ? [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]
    : [date.getFullYear(), date.getMonth() + 1, date.getDate()]
  return parts.map((part, index) => String(part).padStart(index === 0 ? 4 : 2, '0')).join('-')
}

const DAY = /^\d{4,6}-\d\d-\d\d$/
const DAY_AND_TIME = /^\d{4}-\d\d-\d\d[T ]/
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/
const MOMENT_PARTS = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?$/
const TIME = /^(-?\d{1,3}:\d\d)(:\d\d)?(\.\d{1,9})?$/

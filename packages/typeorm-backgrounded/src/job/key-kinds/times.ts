import { types as kinds } from 'node:util'
import type { Dialect } from '../../database/dialect'
import { isSameText, type Condition, type KeyKind, type KeyPart } from './key-kind'

export interface DateKindOptions {
  /** Whether the column holds exactly the text that was written. */
  readonly isText: boolean
  /** The column's own option of this name: whether the day of a `Date` is its day in UTC. */
  readonly utc: boolean
  readonly isShownAsStored: boolean
}

/** A day. A `Date` becomes the day that TypeORM would write. */
export function dateKind({ isText, utc, isShownAsStored }: DateKindOptions): KeyKind {
  const day = (value: unknown) => {
    if (typeof value !== 'string') return undefined
    if (isText) return value
    const written = DAY_AND_TIME.test(value) ? value.slice(0, 10) : value
    return DAY.test(written) && isInCalendar(written) ? written : undefined
  }
  return {
    isPrepared: true,
    store: day,
    read(stored) {
      // A job that another program wrote may hold a full timestamp.
      const isMoment = typeof stored === 'string' && MOMENT.test(stored)
      const value = isMoment ? dayOf(new Date(stored), utc) : day(stored)
      return value === undefined ? undefined : { text: value, value }
    },
    ...(!isShownAsStored && { isShownAsStored }),
  }
}

/**
 * A time of day. MariaDB and MySQL compare a time that does not exist, such as '00:00:60', as '00:00:00', and longer ones
 * than they know as the longest one.
 * @param isText whether the column holds exactly the text that was written
 */
export function timeKind(isText: boolean): KeyKind {
  return {
    isPrepared: true,
    store: (value) => (typeof value === 'string' && (isText || TIME.test(value)) ? value : undefined),
    read(stored) {
      if (typeof stored !== 'string') return undefined
      const [, sign = '', hours, minutes, seconds = ':00', fraction = ''] = TIME.exec(stored) ?? []
      if (hours === undefined) return isText ? { text: stored, value: stored } : undefined
      const text = `${sign}${hours.padStart(2, '0')}${minutes}${seconds}${fraction.replace(/\.?0*$/, '')}`
      return { text, value: stored }
    },
    isSame: isSameText,
  }
}

export interface MomentKindOptions {
  readonly dialect: Dialect | undefined
  /** How many digits of a fraction of a second the column keeps. */
  readonly precision: number
  /** The column's type with its precision, for a CAST. */
  readonly castTo: string
}

/** A point in time, given as a `Date` or as a text. */
export function momentKind(options: MomentKindOptions): KeyKind {
  return {
    store(value) {
      const written = typeof value === 'string' ? writtenMoment(value) : undefined
      const date = written ? localOrZoned(written) : value
      if (!kinds.isDate(date) || Number.isNaN(date.getTime())) return undefined
      // Milliseconds, because TypeORM writes a text as a `Date`, too.
      const text = date.toISOString()
      return writtenMoment(text) && text
    },
    read(stored) {
      const written = typeof stored === 'string' ? writtenMoment(stored) : undefined
      if (!written) return undefined
      return options.dialect === 'sqlite' ? sqlitePart(written) : serverPart(written, options)
    },
  }
}

/** SQLite holds either the text that TypeORM writes or the one of `CURRENT_TIMESTAMP`, which has no fraction. */
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
  // A text without a time zone has the form that the database itself uses.
  if (written.zone === '' && (written.isFiner || options.dialect === 'mariadb')) return { text, value: asWritten }
  if (written.isFiner && options.dialect === 'postgres') return { text, value: asWritten + written.zone }
  return { text, value: date, condition: conditionOf(date, options) }
}

/**
 * A `Date` has 3 digits of a second. A column with fewer digits cuts or rounds it; in one with more digits, any value
 * within that millisecond matches.
 */
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
  /** The fraction, cut to milliseconds. */
  readonly milliseconds: string
  /** Empty if the text has none. */
  readonly zone: string
  /** Whether it has digits that a `Date` cannot hold. */
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
  return Number.isNaN(localOrZoned(written).getTime()) || !isInCalendar(day) ? undefined : written
}

function localOrZoned({ dayAndTime, milliseconds, zone }: Omit<WrittenMoment, 'isFiner'>): Date {
  return new Date(`${dayAndTime}${milliseconds}${zone}`)
}

/** MariaDB and MySQL compare a day that does not exist, such as '2026-02-30', as '0000-00-00'. */
function isInCalendar(day: string): boolean {
  const [year, month, dayOfMonth] = day.split('-').map(Number) as [number, number, number]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, dayOfMonth)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === dayOfMonth
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
const MOMENT_PARTS =
  /^(\d{4}-\d\d-\d\d)(?:[T ]((?:[01]\d|2[0-3]):\d\d)(:\d\d)?(\.\d{1,9})?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?$/
const TIME = /^(-?)0?(\d{1,3})(:[0-5]\d)(:[0-5]\d)?(\.\d{1,9})?$/

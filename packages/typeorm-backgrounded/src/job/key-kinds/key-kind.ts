/** A part of a key as a job holds it. */
export type StoredPart = string | number | boolean

/** A part of a stored key, checked against its column. */
export interface KeyPart {
  /** Equal for equal values, however they were written. */
  readonly text: string
  /** The value for the database. It has the column's own type, so that the database never converts the column. */
  readonly value: unknown
  /** Set where the value was a JavaScript number, to which another value may have been rounded. */
  readonly number?: number
  /** Set where more than an equality is needed to find the value; default `column = value`. */
  readonly condition?: Condition
}

/**
 * @param column as SQL
 * @param bind adds a parameter with this value, and returns its placeholder
 */
export type Condition = (column: string, bind: (value: unknown) => string, value: unknown) => string

/**
 * How the values of one type of column become part of a key. Both functions return undefined for a value that such a
 * column cannot hold, because it would find another row, or no row.
 */
export interface KeyKind {
  /** Turns an entity's value into the one that the job keeps, which is the one that the database will compare. */
  store(value: unknown): StoredPart | undefined
  /** Turns a job's value, which another program may have written, into the one that the database is given. */
  read(stored: StoredPart): KeyPart | undefined
  /** Set where `store` wants the value that the driver would write; otherwise it gets the column transformer's. */
  readonly isPrepared?: true
  /**
   * Whether a row that the database found by `asked` is the one that was asked for. Absent where the database's own
   * comparison decides, because it prints equal values of this type in several ways.
   */
  isSame?(asked: KeyPart, found: KeyPart): boolean
  /** False where a loaded row may show another value than the stored one, so that rows cannot be matched by it. */
  readonly isShownAsStored?: false
}

/**
 * Whether a JavaScript number stands for several values of a column with more digits, so that a driver or `JSON.parse` may
 * have rounded the key of one row to that of another.
 */
export function isRounded({ number }: KeyPart): boolean {
  if (number === undefined || Number.isSafeInteger(number)) return false
  return Number.isInteger(number) || Number(number.toPrecision(EXACT_DIGITS)) !== number
}

/** How many digits of a decimal number every double keeps. */
const EXACT_DIGITS = 15

export function isSameText(asked: KeyPart, found: KeyPart): boolean {
  return asked.text === found.text
}

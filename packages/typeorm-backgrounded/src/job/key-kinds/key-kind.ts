/** A part of a key as a job holds it. */
export type StoredPart = string | number | boolean

/** A stored part, read for its column. */
export interface KeyPart {
  /** The same text for the same value, however it was written. */
  readonly text: string
  /** What the database gets: of the column's own type, so that it never converts the column to the value's. */
  readonly value: unknown
  /** Where more than an equality is needed to find the value; default `column = value`. */
  readonly condition?: Condition
}

/**
 * @param column as SQL
 * @param bind makes a parameter of a value, and returns it as SQL
 */
export type Condition = (column: string, bind: (value: unknown) => string, value: unknown) => string

/**
 * How the values of one type of column become part of a key. Both ways return undefined for a value that such a column
 * cannot hold: it would name another row, or none.
 */
export interface KeyKind {
  /** Of the value that an entity has: a job holds what the database will compare. */
  store(value: unknown): StoredPart | undefined
  /** Of what a job holds, whoever wrote it. */
  read(stored: StoredPart): KeyPart | undefined
  /** `store` is given what the driver makes of the entity's value in place of what the transformer makes of it. */
  readonly isPrepared?: true
  /**
   * Whether a row that the database found by `asked` is the one that was asked for. Absent: the database's own
   * comparison of two values of this type is to be trusted, since it prints one value in several ways.
   */
  isSame?(asked: KeyPart, found: KeyPart): boolean
  /** False: what a row shows may be another value than the one it was found by, so rows are not matched by it. */
  readonly isShownAsStored?: false
}

export function isSameText(asked: KeyPart, found: KeyPart): boolean {
  return asked.text === found.text
}

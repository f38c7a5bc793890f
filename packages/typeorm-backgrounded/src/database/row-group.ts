/** Bytes of texts in one statement. */
const LARGEST_GROUP = 1_000_000
const MOST_ROWS = 500

/** Bytes of a row's texts. */
export type SizeOf<Row> = (row: Row) => number

/** Rows that are written by one statement, which is short enough not to hold up others. */
export class RowGroup<Row> {
  readonly rows: Row[] = []
  private size = 0

  /** @param largest bytes of texts; one row may have more */
  constructor(
    private readonly sizeOf: SizeOf<Row>,
    private readonly largest = LARGEST_GROUP,
  ) {}

  static isFull(rows: number, bytes: number): boolean {
    return rows >= MOST_ROWS || bytes >= LARGEST_GROUP
  }

  /** Adds a row. Returns false when the row must go into the next group. */
  take(row: Row): boolean {
    const size = this.size + this.sizeOf(row)
    if (this.rows.length > 0 && (this.rows.length >= MOST_ROWS || size > this.largest)) return false
    this.rows.push(row)
    this.size = size
    return true
  }
}

/** @param largest bytes of texts in one group */
export function inGroups<Row>(rows: readonly Row[], sizeOf: SizeOf<Row>, largest = LARGEST_GROUP): (readonly Row[])[] {
  const groups: RowGroup<Row>[] = []
  for (const row of rows) {
    if (groups.at(-1)?.take(row)) continue
    const group = new RowGroup(sizeOf, Math.min(largest, LARGEST_GROUP))
    group.take(row)
    groups.push(group)
  }
  return groups.map((group) => group.rows)
}

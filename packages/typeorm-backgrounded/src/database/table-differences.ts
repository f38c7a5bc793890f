import {
  Table,
  type DataSource,
  type EntityMetadata,
  type QueryRunner,
  type TableColumn,
  type TableIndex,
} from 'typeorm'
import { withPoolRunner, type Patience } from './pool-runner'

/** What a table of the database lacks, and how TypeORM would add it. Additional columns and indices are ignored. */
export interface TableDifference {
  readonly table: string
  readonly lacks: 'itself' | { readonly column: string } | { readonly index: readonly string[] }
  readonly mend: (runner: QueryRunner) => Promise<void>
}

/**
 * Compares the tables of some entities with the database, which is only read.
 * @throws StoreUnavailableError, or the database's error
 */
export function tableDifferences(
  dataSource: DataSource,
  entities: readonly EntityMetadata[],
  patience: Patience,
): Promise<TableDifference[]> {
  return withPoolRunner(
    dataSource,
    async (runner) => {
      const differences: TableDifference[] = []
      for (const metadata of entities) {
        const actual = await runner.getTable(metadata.tablePath)
        differences.push(...differencesOf(Table.create(metadata, dataSource.driver), actual))
      }
      return differences
    },
    patience,
  )
}

/** In words, as in "backgrounded_jobs lacks the column progress". */
export function describeDifference({ table, lacks }: TableDifference): string {
  if (lacks === 'itself') return `the table ${table} is missing`
  if ('column' in lacks) return `${table} lacks the column ${lacks.column}`
  return `${table} lacks an index on (${lacks.index.join(', ')})`
}

function differencesOf(expected: Table, actual: Table | undefined): TableDifference[] {
  const table = expected.name
  if (!actual) return [{ table, lacks: 'itself', mend: (runner) => runner.createTable(expected) }]
  return [
    ...expected.columns
      .filter((column) => !actual.findColumnByName(column.name))
      .map((column) => missingColumn(actual, column)),
    ...expected.indices
      .filter((index) => !actual.indices.some((other) => serves(other, index)))
      .map((index) => missingIndex(actual, index)),
  ]
}

function missingColumn(table: Table, column: TableColumn): TableDifference {
  return { table: table.name, lacks: { column: column.name }, mend: (runner) => runner.addColumn(table, column) }
}

function missingIndex(table: Table, index: TableIndex): TableDifference {
  return {
    table: table.name,
    lacks: { index: index.columnNames },
    mend: (runner) => runner.createIndex(table, index),
  }
}

/** Under any name. On Postgres, TypeORM lists the columns of an index in the table's order, not in the index's. */
function serves({ columnNames }: TableIndex, { columnNames: needed }: TableIndex): boolean {
  return columnNames.length === needed.length && needed.every((name) => columnNames.includes(name))
}

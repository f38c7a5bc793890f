import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm'

/** Quoted names of a table as the data source's naming strategy, prefix and schema make them. */
export interface TableNames<Row> {
  readonly table: string
  readonly columns: Readonly<Record<keyof Row, string>>
}

/** The names of an entity that is part of the data source. */
export function tableNames<Row extends ObjectLiteral>(
  dataSource: DataSource,
  entity: EntityTarget<Row>,
): TableNames<Row> {
  const metadata = dataSource.getMetadata(entity)
  const escape = (name: string) => dataSource.driver.escape(name)
  const columns = Object.fromEntries(
    metadata.columns.map((column) => [column.propertyName, escape(column.databaseName)]),
  )
  return {
    table: metadata.tablePath.split('.').map(escape).join('.'),
    columns: columns as TableNames<Row>['columns'],
  }
}

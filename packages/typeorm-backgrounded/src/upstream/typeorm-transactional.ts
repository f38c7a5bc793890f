import type { DataSource, EntityManager } from 'typeorm'

/**
 * What typeorm-transactional shows as the data source's manager when a transaction begins: while it shows another, it
 * has spoken since, of another transaction or of none (NOT_SUPPORTED). Undefined where it is not used.
 */
export function shownManager(
  dataSource: DataSource,
  callback: unknown,
  begun: EntityManager,
): EntityManager | undefined {
  const isUsed = Object.getOwnPropertyDescriptor(dataSource, 'manager')?.get !== undefined
  if (!isUsed) return undefined
  return isItsOwn(callback) ? begun : dataSource.manager
}

/**
 * It shows the manager of a transaction that it begins from inside of the callback, and nothing but the callback's text
 * tells it from the application's. Unknown ones count as the application's, whose transaction is always followed.
 */
function isItsOwn(callback: unknown): boolean {
  return typeof callback === 'function' && String(callback).includes('setEntityManagerByDataSourceName')
}

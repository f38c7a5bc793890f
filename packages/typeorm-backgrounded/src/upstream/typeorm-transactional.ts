import type { DataSource, EntityManager } from 'typeorm'

/**
 * The manager that typeorm-transactional shows as `dataSource.manager` when a transaction begins. If it shows another one
 * later, it has switched to another transaction, or to none (NOT_SUPPORTED). Undefined where it is not used.
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
 * Whether typeorm-transactional began this transaction. If so, it shows the transaction's manager only once its callback
 * runs. Only the callback's text shows whose it is; an unknown callback counts as the application's, whose
 * transaction is always followed.
 */
function isItsOwn(callback: unknown): boolean {
  return typeof callback === 'function' && String(callback).includes('setEntityManagerByDataSourceName')
}

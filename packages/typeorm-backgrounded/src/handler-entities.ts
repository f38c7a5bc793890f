import { InstanceChecker, type DataSource, type DataSourceOptions } from 'typeorm'
import { MissingTableError } from './errors'
import type { EntityTargets, Handler } from './handlers/handler'

/** The entities of a handler's tables among those of the user's data source. */

function entitiesOf(dataSource: DataSource, handler: Handler): EntityTargets {
  return handler.entities?.(dataSource.options.type, dataSource) ?? []
}

export function addEntities(dataSource: DataSource, handler: Handler): void {
  const needed = entitiesOf(dataSource, handler)
  if (needed.length === 0) return
  // TypeORM keeps the very options object it was given: one that is used again holds another handler's tables.
  const others = listedEntities(dataSource).filter((entity) => !needed.some((each) => isSameTable(each, entity)))
  setEntities(dataSource, [...others, ...needed])
}

export function removeEntities(dataSource: DataSource, handler: Handler): void {
  const unwanted = entitiesOf(dataSource, handler)
  if (unwanted.length > 0)
    setEntities(
      dataSource,
      listedEntities(dataSource).filter((entity) => !unwanted.includes(entity)),
    )
}

function isSameTable(one: EntityTargets[number], other: EntityTargets[number]): boolean {
  if (!InstanceChecker.isEntitySchema(one) || !InstanceChecker.isEntitySchema(other)) return one === other
  return one.options.target === other.options.target
}

function listedEntities(dataSource: DataSource): EntityTargets {
  const { entities = [] } = dataSource.options
  return Array.isArray(entities) ? entities : Object.values(entities as Record<string, EntityTargets[number]>)
}

function setEntities(dataSource: DataSource, entities: EntityTargets): void {
  dataSource.setOptions({ entities: [...entities] } as Partial<DataSourceOptions>)
}

/** @throws MissingTableError for a data source that was initialised before it was attached */
export function checkEntities(dataSource: DataSource, handler: Handler): void {
  const missing = entitiesOf(dataSource, handler).filter((entity) => !dataSource.hasMetadata(entity))
  if (missing.length === 0) return
  throw new MissingTableError(
    `The data source lacks entities that the ${handler.name} handler needs: call withBackgrounded() before initialize(), ` +
      `or list [...handler.entities('${dataSource.options.type}')] among its "entities".`,
  )
}

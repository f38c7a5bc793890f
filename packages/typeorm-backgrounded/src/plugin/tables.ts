import { InstanceChecker, type DataSource, type DataSourceOptions } from 'typeorm'
import { MissingTableError } from '../errors'
import { Outbox } from '../outbox/outbox'
import type { EntityTargets } from '../handlers/contract/handler'
import { withShortIndexNames } from './short-index-names'
import { usesOutbox, type BackgroundedOptions } from './options'

/** The entities of the tables that the handler and the outbox need. */
export function entitiesOf(dataSource: DataSource, options: BackgroundedOptions): EntityTargets {
  const { type } = dataSource.options
  const entities = [
    ...(options.handler.entities?.(type, dataSource) ?? []),
    ...(usesOutbox(options) ? Outbox.entities(type) : []),
  ]
  return entities.map((entity) => withShortIndexNames(entity, dataSource))
}

export function addEntities(dataSource: DataSource, options: BackgroundedOptions): void {
  const needed = entitiesOf(dataSource, options)
  if (needed.length === 0) return
  // TypeORM keeps the options object that it was given; if the application uses that again, it holds these tables already.
  const others = listedEntities(dataSource).filter((entity) => !needed.some((each) => isSameTable(each, entity)))
  setEntities(dataSource, [...others, ...needed])
}

export function removeEntities(dataSource: DataSource, options: BackgroundedOptions): void {
  const unwanted = entitiesOf(dataSource, options)
  if (unwanted.length > 0)
    setEntities(
      dataSource,
      listedEntities(dataSource).filter((entity) => !unwanted.some((each) => isSameTable(each, entity))),
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
export function checkEntities(dataSource: DataSource, options: BackgroundedOptions): void {
  const missing = entitiesOf(dataSource, options).filter((entity) => !dataSource.hasMetadata(entity))
  if (missing.length === 0) return
  const { handler } = options
  const advice = usesOutbox(options)
    ? 'pass { outbox: false }'
    : `list [...handler.entities('${dataSource.options.type}')] among its "entities"`
  throw new MissingTableError(
    `The data source lacks entities that the ${handler.name} handler${usesOutbox(options) ? ' or the outbox' : ''} needs: ` +
      `call withBackgrounded() before initialize(), or ${advice}.`,
  )
}

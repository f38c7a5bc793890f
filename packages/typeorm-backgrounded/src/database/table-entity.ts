import { EntitySchema, type EntitySchemaOptions } from 'typeorm'

type Class<Row> = new () => Row

/**
 * An entity of this library. Its class gets a fixed name, because TypeORM finds entities by the names of their classes, and
 * a bundler or a minifier may change those.
 */
export function tableEntity<Row extends object>(
  target: Class<Row>,
  options: Omit<EntitySchemaOptions<Row>, 'target'>,
): EntitySchema<Row> {
  Object.defineProperty(target, 'name', { value: options.name, configurable: true })
  return new EntitySchema<Row>({ ...options, target })
}

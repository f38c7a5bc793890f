import { EntitySchema, type EntitySchemaOptions } from 'typeorm'

type Class<Row> = new () => Row

/**
 * An entity of the library's own, under its own name whatever a bundler or a minifier makes of its class: TypeORM finds it
 * by the name that the class has.
 */
export function tableEntity<Row extends object>(
  target: Class<Row>,
  options: Omit<EntitySchemaOptions<Row>, 'target'>,
): EntitySchema<Row> {
  Object.defineProperty(target, 'name', { value: options.name, configurable: true })
  return new EntitySchema<Row>({ ...options, target })
}

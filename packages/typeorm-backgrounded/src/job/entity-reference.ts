/** An entity's key: the value where there is one primary column, otherwise an object with every primary property. */
export type EntityKey = string | number | bigint | boolean | Date | Uint8Array | object

/** Stands for a row that is not loaded; made by `reference()`. */
export class EntityReference<T extends object = object> {
  /** Keeps references to different classes apart in the type system; never set. */
  declare protected readonly entity: T

  constructor(
    readonly entityClass: EntityClass<T>,
    readonly key: EntityKey,
  ) {}
}

/** A class, possibly abstract, whose instances are `T`. */
export type EntityClass<T extends object = object> = abstract new (...args: never[]) => T

/**
 * Stands for the row of `entityClass` with this `key`, without loading it. It is accepted wherever an entity is: as the
 * receiver of `backgrounded()`, inside arrays, and as an argument of a background call.
 *
 * @param key the value where there is one primary column, otherwise an object with every primary property
 * @example await backgrounded(reference(User, 5)).sendWelcome('spring')
 */
export function reference<T extends object>(entityClass: EntityClass<T>, key: EntityKey): EntityReference<T> {
  return new EntityReference(entityClass, key)
}

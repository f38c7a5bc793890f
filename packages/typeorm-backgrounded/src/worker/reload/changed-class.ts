import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { RowChangedClassError } from '../../errors'
import type { JsonObject } from '../../job/json'
import type { MarkedEntity, MarkedMethod, MethodTable } from '../../metadata/method-table'
import type { Class } from '../../metadata/registry'
import { entityOf, type EntityLoader } from './entity-loader'
import type { LoadOptions } from './rows-by-key'

const PLAIN: LoadOptions = { withDeleted: false }
const WITH_DELETED: LoadOptions = { withDeleted: true }

/**
 * With single table inheritance a row may become one of another class, and is not found any more as one of its former
 * class. Looked for as one of the class that all inherit from, it is.
 * @returns the row, or undefined where there is none, or no inheritance
 */
export async function rowOfAnyClass(
  { loader, methods }: { readonly loader: EntityLoader; readonly methods: MethodTable },
  entity: MarkedEntity,
  key: JsonObject,
  withDeleted: boolean,
): Promise<ObjectLiteral | undefined> {
  const root = rootOf(entity.metadata)
  const marked = root === entity.metadata ? undefined : methods.ofClass(root.target as Class)
  return marked && entityOf(await loader.load(marked, key, withDeleted ? WITH_DELETED : PLAIN))
}

/**
 * The method of the same name that the class of `row` has.
 * @throws RowChangedClassError
 */
export function methodOfRow(methods: MethodTable, { entity, name }: MarkedMethod, row: ObjectLiteral): MarkedMethod {
  const { name: className } = row.constructor
  const found = methods.ofClass(row.constructor as Class)
  for (const method of found?.methods.values() ?? []) if (method.name === name) return method
  throw new RowChangedClassError(
    `The ${entity.name} of this job is of the class ${className} now, which has no @Backgrounded method "${name}".`,
  )
}

function rootOf(metadata: EntityMetadata): EntityMetadata {
  let root = metadata
  while (root.tableType === 'entity-child') root = root.parentEntityMetadata
  return root
}

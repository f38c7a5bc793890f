import type { ObjectLiteral } from 'typeorm'
import type { MethodTable } from '../metadata/method-table'
import { classOf } from './envelope-maker'

/** A way to write entities through a manager, or to get them from it. */
export type Touch = 'save' | 'remove' | 'softRemove' | 'recover' | 'preload' | 'merge'

type Relation = MethodTable['marked'][number]['metadata']['relations'][number]

/** Whether it reaches the entities of a relation too. */
const REACHES: Readonly<Record<Touch, (relation: Relation) => boolean>> = {
  save: ({ isCascadeInsert, isCascadeUpdate }) => isCascadeInsert || isCascadeUpdate,
  remove: ({ isCascadeRemove }) => isCascadeRemove,
  softRemove: ({ isCascadeSoftRemove }) => isCascadeSoftRemove,
  recover: ({ isCascadeRecover }) => isCascadeRecover,
  preload: () => true,
  merge: () => false,
}

/** The entities with marked methods that TypeORM touches: those that were given, and what a cascade reaches. */
export function touchedEntities(methods: MethodTable, given: unknown, touch: Touch): Set<object> {
  const seen = new Set<object>()
  const marked = new Set<object>()
  const waiting: unknown[] = [given]
  while (waiting.length > 0) {
    const value = waiting.pop()
    // A call's own arguments are limited to about 100,000, so the elements are not passed to one push().
    if (Array.isArray(value)) for (const each of value as unknown[]) waiting.push(each)
    else if (typeof value === 'object' && value !== null && !seen.has(value)) {
      seen.add(value)
      const entity = methods.ofClass(classOf(value))
      if (!entity) continue
      if (entity.methods.size > 0) marked.add(value)
      for (const relation of entity.metadata.relations) {
        // A lazy relation shows what it has loaded, without loading anything.
        if (REACHES[touch](relation)) waiting.push(relation.getEntityValue(value as ObjectLiteral) as unknown)
      }
    }
  }
  return marked
}

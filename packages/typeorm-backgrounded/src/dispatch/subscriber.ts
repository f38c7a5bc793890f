import type { DataSource, EntityMetadata, EntitySubscriberInterface, QueryRunner } from 'typeorm'
import { lineage, type Class } from '../metadata/registry'
import type { MethodTable } from '../metadata/method-table'
import type { RowEvent } from '../metadata/decorators'
import type { TransactionBuffer } from './transaction-buffer'

/** What the row subscriber passes on of TypeORM's insert, update, soft-remove and recover events. */
export interface RowChange {
  readonly type: RowEvent
  readonly entity: object
  readonly metadata: EntityMetadata
  readonly queryRunner: QueryRunner
  readonly databaseEntity?: object
  readonly updatedColumns?: readonly { readonly propertyPath: string }[]
  /** False for writes that name no row: `update()`, `upsert()`, query builders. */
  readonly hasKey: boolean
}

type Touched = (change: RowChange) => Promise<void> | void

/**
 * Subscribers for one data source: one that follows every transaction's edges, and one per family of marked
 * classes. TypeORM asks each subscriber about each event, so none has a hook it does not need.
 */
export function subscribers(
  dataSource: DataSource,
  buffer: TransactionBuffer,
  methods: MethodTable,
  touched: Touched,
): EntitySubscriberInterface[] {
  return [edgeSubscriber(dataSource, buffer), ...rootsOf(methods).map((root) => rowSubscriber(root, buffer, touched))]
}

function edgeSubscriber(dataSource: DataSource, buffer: TransactionBuffer): EntitySubscriberInterface {
  const edges: EntitySubscriberInterface = {
    beforeTransactionStart: ({ queryRunner }) => buffer.beforeStart(queryRunner),
    beforeTransactionCommit: ({ queryRunner }) => buffer.beforeCommit(queryRunner),
    afterTransactionCommit: ({ queryRunner }) => buffer.committed(queryRunner),
    beforeTransactionRollback: ({ queryRunner }) => buffer.beforeRollback(queryRunner),
    afterTransactionRollback: ({ queryRunner }) => buffer.rolledBack(queryRunner),
  }
  if (!/postgres|cockroach/.test(dataSource.options.type)) return edges
  return {
    ...edges,
    // Postgres answers the COMMIT of a transaction with a failed statement with ROLLBACK, and TypeORM does not look.
    afterQuery: ({ query, rawResults, queryRunner }) => {
      if (query !== 'COMMIT') return
      if ((rawResults as { command?: string } | undefined)?.command === 'ROLLBACK')
        buffer.commitAnsweredRollback(queryRunner)
    },
  }
}

function rowSubscriber(root: Class, buffer: TransactionBuffer, touched: Touched): EntitySubscriberInterface<object> {
  const saw = (change: RowChange | (Omit<RowChange, 'entity'> & { entity: undefined })) => {
    if (!change.entity) return touched({ ...change, entity: {}, hasKey: false })
    if (change.queryRunner.isTransactionActive) buffer.remember(change.entity, change.queryRunner)
    return touched(change)
  }
  const loaded: EntitySubscriberInterface<object>['afterLoad'] = (entity, event) => {
    if (event?.queryRunner.isTransactionActive) buffer.remember(entity, event.queryRunner)
  }
  return {
    listenTo: () => root,
    // TypeORM makes an event for every row that is loaded, unless there is no hook.
    get afterLoad() {
      return buffer.mayBeOpen ? loaded : undefined
    },
    afterInsert: ({ entity, metadata, queryRunner, entityId }) =>
      saw({ type: 'insert', entity, metadata, queryRunner, hasKey: entityId !== undefined }),
    afterUpdate: ({ entity, metadata, queryRunner, databaseEntity, updatedColumns }) =>
      saw({
        type: 'update',
        entity,
        metadata,
        queryRunner,
        databaseEntity,
        updatedColumns,
        hasKey: databaseEntity !== undefined,
      }),
    afterSoftRemove: ({ entity, metadata, queryRunner, databaseEntity }) =>
      saw({ type: 'softRemove', entity, metadata, queryRunner, databaseEntity, hasKey: databaseEntity !== undefined }),
    afterRecover: ({ entity, metadata, queryRunner, databaseEntity }) =>
      saw({ type: 'recover', entity, metadata, queryRunner, databaseEntity, hasKey: databaseEntity !== undefined }),
  }
}

/** Marked classes without a marked ancestor: a subscriber hears of its class and all below it. */
function rootsOf(methods: MethodTable): Class[] {
  const targets = new Set(methods.marked.map((entity) => entity.target))
  return [...targets].filter((target) => {
    const [, ...ancestors] = lineage(target)
    return !ancestors.some((ancestor) => targets.has(ancestor))
  })
}

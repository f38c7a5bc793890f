import type { DataSource, EntityMetadata, EntitySubscriberInterface, QueryRunner } from 'typeorm'
import { lineage, type Class } from '../metadata/registry'
import type { MarkedEntity, MethodTable } from '../metadata/method-table'
import type { RowEvent } from '../metadata/after-commit-options'
import { edgeOf } from './transaction-edges'
import type { OpenTransactions } from './open-transactions'

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
 * Subscribers for one data source: one that follows every transaction's edges, and some for each family of marked
 * classes. TypeORM asks each subscriber about each event, so none has a hook it does not need.
 */
export function subscribers(
  dataSource: DataSource,
  transactions: OpenTransactions,
  methods: MethodTable,
  touched: Touched,
): EntitySubscriberInterface[] {
  const memories = rootsOf(methods.marked).map((root) => memorySubscriber(root, transactions))
  const watched = methods.marked.filter(({ methods }) => [...methods.values()].some(({ afterCommit }) => afterCommit))
  const changes = rootsOf(watched).map((root) => changeSubscriber(root, touched))
  return [edgeSubscriber(dataSource, transactions), ...memories, ...changes]
}

function edgeSubscriber(dataSource: DataSource, transactions: OpenTransactions): EntitySubscriberInterface {
  const edges: EntitySubscriberInterface = {
    beforeTransactionStart: ({ queryRunner }) => transactions.beforeStart(queryRunner),
    beforeTransactionCommit: ({ queryRunner }) => transactions.beforeCommit(queryRunner),
    afterTransactionCommit: ({ queryRunner }) => transactions.committed(queryRunner),
    afterTransactionRollback: ({ queryRunner }) => transactions.rolledBack(queryRunner),
  }
  if (!/postgres|cockroach/.test(dataSource.options.type)) return edges
  return {
    ...edges,
    // Postgres answers the COMMIT of a transaction with a failed statement with ROLLBACK, and TypeORM does not check that.
    afterQuery: ({ query, rawResults, queryRunner }) => {
      const command = (rawResults as { command?: string } | undefined)?.command
      if (command !== 'COMMIT' && command !== 'ROLLBACK') return
      if (edgeOf(query, 'postgres')?.kind === 'commit') transactions.commitAnswered(queryRunner, command)
    },
  }
}

/** Remembers in which transaction an entity was loaded or saved. */
function memorySubscriber(root: Class, transactions: OpenTransactions): EntitySubscriberInterface<object> {
  const remember = (entity: object | undefined, queryRunner: QueryRunner) => {
    if (entity && queryRunner.isTransactionActive) transactions.remember(entity, queryRunner)
  }
  const loaded = (entity: object, event?: { queryRunner: QueryRunner }) => event && remember(entity, event.queryRunner)
  return {
    listenTo: () => root,
    // TypeORM makes an event for every row that is loaded, unless there is no hook.
    get afterLoad() {
      return transactions.mayBeOpen ? loaded : undefined
    },
    // Before the write, so that a call in the entity's @AfterInsert or in the user's subscriber is found.
    beforeInsert: ({ entity, queryRunner }) => remember(entity, queryRunner),
    beforeUpdate: ({ entity, queryRunner }) => remember(entity, queryRunner),
    beforeSoftRemove: ({ entity, queryRunner }) => remember(entity, queryRunner),
    beforeRecover: ({ entity, queryRunner }) => remember(entity, queryRunner),
  }
}

/** Reports every change of a row, for `@AfterCommitBackgrounded`. */
function changeSubscriber(root: Class, touched: Touched): EntitySubscriberInterface<object> {
  return {
    listenTo: () => root,
    afterInsert: ({ entity, metadata, queryRunner, entityId }) =>
      touched({ type: 'insert', entity, metadata, queryRunner, hasKey: entityId !== undefined }),
    afterUpdate: ({ entity = {}, metadata, queryRunner, databaseEntity, updatedColumns }) =>
      touched({
        type: 'update',
        entity,
        metadata,
        queryRunner,
        databaseEntity,
        updatedColumns,
        hasKey: databaseEntity !== undefined,
      }),
    afterSoftRemove: ({ entity = {}, metadata, queryRunner, databaseEntity }) =>
      touched({
        type: 'softRemove',
        entity,
        metadata,
        queryRunner,
        databaseEntity,
        hasKey: databaseEntity !== undefined,
      }),
    afterRecover: ({ entity = {}, metadata, queryRunner, databaseEntity }) =>
      touched({ type: 'recover', entity, metadata, queryRunner, databaseEntity, hasKey: databaseEntity !== undefined }),
  }
}

/** The classes without an ancestor among them, because a subscriber gets the events of all subclasses too. */
function rootsOf(entities: readonly MarkedEntity[]): Class[] {
  const targets = new Set(entities.map((entity) => entity.target))
  return [...targets].filter((target) => {
    const [, ...ancestors] = lineage(target)
    return !ancestors.some((ancestor) => targets.has(ancestor))
  })
}

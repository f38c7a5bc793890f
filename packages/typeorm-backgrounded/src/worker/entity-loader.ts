import {
  Any,
  In,
  type DataSource,
  type EntityManager,
  type EntityMetadata,
  type FindOperator,
  type ObjectLiteral,
} from 'typeorm'
import { Batcher, runInHalves } from '../batcher'
import { isConnectionError, isDataError } from '../database-errors'
import { InvalidKeyError } from '../errors'
import type { JsonObject } from '../job/json'
import { keyOf, keyText, whereOf } from '../job/key-codec'
import type { MarkedEntity } from '../metadata/method-table'
import type { ResolvedMethodOptions } from '../options'

/** How rows of one kind are loaded; loads of the same kind travel together. */
export type LoadOptions = Pick<ResolvedMethodOptions, 'relations' | 'withDeleted'>

interface Request {
  readonly where: ObjectLiteral
  readonly key: string
}

type Found = { entity: ObjectLiteral | undefined } | { error: unknown }

/**
 * Loads rows by key, batched: one `find` per class and options is on its way, what is asked for meanwhile goes
 * with the next. Reads the primary, past every cache, and gives every request an object of its own.
 */
export class EntityLoader {
  private readonly batchers = new Map<string, Batcher<Request, Found>>()
  private readonly kinds = new WeakMap<LoadOptions, string>()

  constructor(
    private readonly dataSource: DataSource,
    /** An open test transaction to read in, if there is one. */
    private readonly testManager: () => EntityManager | undefined = () => undefined,
  ) {}

  /**
   * @returns nothing when the row is gone
   * @throws InvalidKeyError, or the database's error
   */
  async load(entity: MarkedEntity, key: JsonObject, options: LoadOptions): Promise<ObjectLiteral | undefined> {
    const where = whereOf(entity.metadata, key)
    const found = await this.batcher(entity, options).add({ where, key: keyText(key) })
    if ('error' in found) {
      if (!isDataError(found.error)) throw found.error
      throw new InvalidKeyError(`The database refuses the key ${JSON.stringify(key)} of ${entity.name}.`, {
        cause: found.error,
      })
    }
    return found.entity
  }

  private batcher({ name, metadata }: MarkedEntity, options: LoadOptions): Batcher<Request, Found> {
    let kind = this.kinds.get(options)
    if (kind === undefined) this.kinds.set(options, (kind = JSON.stringify([options.relations, options.withDeleted])))
    const id = `${name}/${kind}`
    let batcher = this.batchers.get(id)
    if (!batcher) {
      // Two jobs on one row must not share an object: the second goes with the next batch.
      const admission = () => {
        const keys = new Set<string>()
        return ({ key }: Request) => !keys.has(key) && Boolean(keys.add(key))
      }
      const run = (requests: readonly Request[]) =>
        runInHalves(
          requests,
          (some) => this.find(metadata, some, options),
          (_, error) => ({ error }),
          isConnectionError,
        )
      this.batchers.set(id, (batcher = new Batcher<Request, Found>(run, { items: 500, admission })))
    }
    return batcher
  }

  private async find(metadata: EntityMetadata, requests: readonly Request[], options: LoadOptions): Promise<Found[]> {
    const driver = this.dataSource.options.type
    return this.withPrimary(async (manager) => {
      const rows = await findRows(
        driver,
        manager,
        metadata,
        requests.map(({ where }) => where),
        options,
      )
      const byKey = new Map(rows.map((row) => [keyText(keyOf(metadata, row)), row]))
      const found: Found[] = []
      for (const { key, where } of requests) {
        let entity = byKey.get(key)
        // Databases compare and print keys in their own ways: no batch declares a row gone.
        if (!entity) [entity] = await findRows(driver, manager, metadata, [where], options)
        found.push({ entity })
      }
      return found
    })
  }

  private async withPrimary<T>(read: (manager: EntityManager) => Promise<T>): Promise<T> {
    const testManager = this.testManager()
    if (testManager) return read(testManager)
    const runner = this.dataSource.createQueryRunner('master')
    try {
      return await read(runner.manager)
    } finally {
      await runner.release()
    }
  }
}

function findRows(
  driver: string,
  manager: EntityManager,
  metadata: EntityMetadata,
  wheres: readonly ObjectLiteral[],
  { relations, withDeleted }: LoadOptions,
): Promise<ObjectLiteral[]> {
  return manager.find<ObjectLiteral>(metadata.target, {
    where: loneKey(driver, metadata, wheres) ?? [...wheres],
    relations: relationTree(relations) as never,
    withDeleted,
    // The query strategy shares relation objects between rows.
    relationLoadStrategy: 'join',
    // A data source may cache all finds by default.
    cache: false,
  })
}

/** `IN (…)` is shorter for the database than one condition a row, where the key is a lone plain column. */
function loneKey(
  driver: string,
  metadata: EntityMetadata,
  wheres: readonly ObjectLiteral[],
): ObjectLiteral | undefined {
  const [column, ...more] = metadata.primaryColumns
  if (!column || more.length > 0 || column.transformer || column.embeddedMetadata || column.relationMetadata)
    return undefined
  const values = wheres.map((where) => where[column.propertyName] as unknown)
  return { [column.propertyName]: values.length === 1 ? values[0] : oneOf(driver, values) }
}

/** For Postgres one parameter, however many values: TypeORM takes its time with each. */
function oneOf(driver: string, values: unknown[]): FindOperator<unknown> {
  const isPlain = values.every((value) => typeof value === 'string' || typeof value === 'number')
  return driver === 'postgres' && isPlain ? Any(values) : In(values)
}

/** TypeORM 1 takes relations as an object only: `['album.owner']` is `{ album: { owner: true } }`. */
function relationTree(relations: LoadOptions['relations']): object | undefined {
  if (!Array.isArray(relations)) return relations
  if (relations.length === 0) return undefined
  const tree: RelationTree = {}
  for (const path of relations as readonly string[]) {
    let at = tree
    for (const name of path.split('.')) at = at[name] ??= {}
  }
  return leavesTrue(tree) as object
}

interface RelationTree {
  [name: string]: RelationTree
}

function leavesTrue(tree: RelationTree): object | true {
  const entries = Object.entries(tree)
  return entries.length === 0 ? true : Object.fromEntries(entries.map(([name, below]) => [name, leavesTrue(below)]))
}

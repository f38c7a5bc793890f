import type { DataSource, EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral, QueryRunner } from 'typeorm'
import type { PrefetchQuery } from '../../handlers/contract/built-in'
import type { ReadKey } from '../../job/key-codec'
import type { Condition, KeyPart } from '../../job/key-kinds/key-kind'
import type { ResolvedMethodOptions } from '../../metadata/options'
import { RepeatedFind } from '../../upstream/repeated-find'
import { keyListOf } from './key-lists'

/** How rows of one kind are loaded; loads of the same kind share a batch. */
export type LoadOptions = Pick<ResolvedMethodOptions, 'relations' | 'withDeleted'>

/** Finds rows of one kind by their keys, past every cache. */
export class RowsByKey {
  private readonly options: FindManyOptions<ObjectLiteral>
  /** Of a key that is one plain column: a list of values is shorter for the database than one condition a row. */
  private readonly repeated: RepeatedFind | undefined

  constructor(
    private readonly dataSource: DataSource,
    private readonly metadata: EntityMetadata,
    { relations, withDeleted }: LoadOptions,
    private readonly canRepeatSql: () => boolean = () => true,
  ) {
    this.options = {
      relations: relationTree(relations) as never,
      withDeleted,
      // The query strategy shares relation objects between rows.
      relationLoadStrategy: 'join',
      // A data source may cache all finds by default.
      cache: false,
    }
    const column = plainKey(metadata)
    this.repeated =
      column === undefined
        ? undefined
        : new RepeatedFind(dataSource, metadata, column, this.options, keyListOf(dataSource))
  }

  find(manager: EntityManager, keys: readonly ReadKey[]): Promise<ObjectLiteral[]> {
    const { repeated } = this
    const values = keys.map(plainValue)
    if (repeated && this.canRepeatSql() && values.every(isPlain))
      return repeated.run(manager.queryRunner as QueryRunner, values)
    return this.findEach(manager, keys)
  }

  /** A query that prefetches such rows for the jobs of `entity`. Undefined unless one statement with plain keys does. */
  prefetchQuery(entity: string): PrefetchQuery | undefined {
    const select = this.repeated?.selectByKeys()
    return select && { entity, select }
  }

  /** @param raw the rows that the database has returned to that query */
  hydrate(manager: EntityManager, raw: readonly object[]): Promise<ObjectLiteral[]> {
    const { repeated } = this
    return repeated ? repeated.hydrate(manager.queryRunner as QueryRunner, raw) : Promise.resolve([])
  }

  /**
   * The same with a condition for each key. Not as TypeORM's `where`, which would apply a transformer to what the
   * database holds already.
   */
  private findEach(manager: EntityManager, keys: readonly ReadKey[]): Promise<ObjectLiteral[]> {
    const { target, name, primaryColumns } = this.metadata
    const query = this.dataSource
      .createQueryBuilder<ObjectLiteral>(target, name, manager.queryRunner)
      .setFindOptions(this.options)
    const parameters: ObjectLiteral = {}
    const bind = (value: unknown) => {
      const parameter = `key_${Object.keys(parameters).length}`
      parameters[parameter] = value
      return `:${parameter}`
    }
    const conditionOf = ({ parts }: ReadKey) =>
      primaryColumns.map(({ databaseName }, index) => {
        const column = `${query.escape(query.alias)}.${query.escape(databaseName)}`
        const { value, condition = equal } = parts[index] as KeyPart
        return condition(column, bind, value)
      })
    const conditions = keys.map((key) => `(${conditionOf(key).join(' AND ')})`)
    return query.andWhere(`(${conditions.join(' OR ')})`, parameters).getMany()
  }
}

const equal: Condition = (column, bind, value) => `${column} = ${bind(value)}`

function plainValue({ parts: [part] }: ReadKey): unknown {
  return part?.condition ? undefined : part?.value
}

function plainKey({ primaryColumns: [column, ...more] }: EntityMetadata): string | undefined {
  const isPlain =
    column && more.length === 0 && !column.transformer && !column.embeddedMetadata && !column.relationMetadata
  return isPlain ? column.propertyName : undefined
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
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

import type {
  DataSource,
  EntityMetadata,
  FindManyOptions,
  FindOperator,
  ObjectLiteral,
  QueryRunner,
  SelectQueryBuilder,
} from 'typeorm'

interface Query {
  readonly builder: SelectQueryBuilder<ObjectLiteral>
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/**
 * TypeORM's `find` of the rows that have one of some values in `property`. The SQL is made only once, because making it
 * takes TypeORM about as long as a database takes to answer.
 *
 * It rests on members that TypeORM's documentation does not promise, so `proveRepeatedFinds` says whether it works.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `getMany` sends what `getQueryAndParameters` returns | the SQL of an earlier find is sent again | each find makes its own SQL; one warning |
 * | `SelectQueryBuilder.loadRawResults` | prefetched rows become entities | rows are not prefetched; one warning |
 */
export class RepeatedFind {
  private readonly queries = new Map<number, Query>()

  constructor(
    private readonly dataSource: DataSource,
    private readonly metadata: EntityMetadata,
    private readonly property: string,
    private readonly options: FindManyOptions<ObjectLiteral>,
    private readonly list: KeyList,
  ) {}

  run(runner: QueryRunner, values: readonly (string | number)[]): Promise<ObjectLiteral[]> {
    const bound = this.list.bind(values)
    const { builder, sql, parameters } = this.query(bound.length)
    let next = 0
    const filled = parameters.map((parameter) => (parameter === PLACE ? bound[next++] : parameter))
    const query = builder.clone().setQueryRunner(runner)
    return entitiesOfSql(query, sql, filled)
  }

  /** The same find as SQL, for keys that the database itself has. Undefined when it cannot be written that way. */
  selectByKeys(): ((keys: string) => string) | undefined {
    const [column] = this.metadata.primaryColumns
    const type = column && this.list.castOf?.(this.dataSource.driver.normalizeType(column))
    if (!type) return undefined
    const { builder, sql, parameters } = this.query(1)
    // A join is planned in other ways than in the session that the keys are in.
    if (parameters.length !== 1 || builder.expressionMap.joinAttributes.length > 0) return undefined
    const value = `key::json ->> '${this.property.replaceAll("'", "''")}'`
    return (keys) => sql.replace('$1', () => `ARRAY(SELECT (${value})::${type} FROM unnest(${keys}) AS key)`)
  }

  /** The entities that `run` makes of these rows. */
  hydrate(runner: QueryRunner, rows: readonly object[]): Promise<ObjectLiteral[]> {
    const { builder, sql } = this.query(1)
    this.dataSource.logger.logQuery(sql, undefined, runner)
    return entitiesOfRaw(builder.clone().setQueryRunner(runner), rows)
  }

  private query(places: number): Query {
    let query = this.queries.get(places)
    if (!query) {
      const { target, name } = this.metadata
      const where = { [this.property]: this.list.contains(Array.from({ length: places }, () => PLACE)) }
      const builder = this.dataSource
        .createQueryBuilder<ObjectLiteral>(target, name)
        .setFindOptions({ ...this.options, where })
      const [sql, parameters] = builder.getQueryAndParameters()
      this.queries.set(places, (query = { builder, sql, parameters }))
    }
    return query
  }
}

/** Lets `query` send this SQL in place of its own. */
function entitiesOfSql(
  query: SelectQueryBuilder<ObjectLiteral>,
  sql: string,
  parameters: unknown[],
): Promise<ObjectLiteral[]> {
  query.getQueryAndParameters = () => [sql, parameters]
  return query.getMany()
}

/** Lets `query` make its entities from rows that were prefetched. */
function entitiesOfRaw(query: SelectQueryBuilder<ObjectLiteral>, rows: readonly object[]): Promise<ObjectLiteral[]> {
  Object.defineProperty(query, 'loadRawResults', { value: () => Promise.resolve(rows) })
  return query.getMany()
}

/** Which parts of a repeated find work with the installed TypeORM. */
export interface RepeatedFinds {
  /** The SQL of an earlier find can be sent again. */
  readonly repeatSql: boolean
  /** Prefetched rows can become entities. */
  readonly hydrate: boolean
}

/** Tries both out on a runner of its own, which is never connected. */
export async function proveRepeatedFinds(dataSource: DataSource): Promise<RepeatedFinds> {
  const metadata = dataSource.entityMetadatas.find(({ tableType }) => tableType === 'regular')
  if (!metadata) return { repeatSql: true, hydrate: true } // there are no rows to load
  const sentBy = async (find: (query: SelectQueryBuilder<ObjectLiteral>) => Promise<unknown>) => {
    const sent: unknown[] = []
    const query = (sql: unknown) => {
      sent.push(sql)
      return Promise.resolve({ records: [] })
    }
    try {
      const runner = Object.create(dataSource.createQueryRunner(), { query: { value: query } }) as QueryRunner
      await find(dataSource.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name, runner))
    } catch (error) {
      sent.push(error)
    }
    return sent
  }
  const [repeated, ...more] = await sentBy((query) => entitiesOfSql(query, PROOF, []))
  const whileHydrating = await sentBy((query) => entitiesOfRaw(query, []))
  return { repeatSql: repeated === PROOF && more.length === 0, hydrate: whileHydrating.length === 0 }
}

const PROOF = 'SELECT 1'

/** Stands for a parameter whose value is not known yet. */
const PLACE = { place: true }

/** How a database takes a list of values. */
export interface KeyList {
  /** The values as parameters: few different numbers of them, so that few statements are made. */
  bind(values: readonly (string | number)[]): readonly unknown[]
  contains(places: unknown[]): FindOperator<unknown>
  /** The type to which a text can be cast, of a column whose type is `type`. */
  castOf?(type: string): string | undefined
}

import {
  Any,
  In,
  Raw,
  type DataSource,
  type EntityMetadata,
  type FindManyOptions,
  type FindOperator,
  type ObjectLiteral,
  type QueryRunner,
  type SelectQueryBuilder,
} from 'typeorm'
import { dialectOf, type Dialect } from '../../database/dialect'
import { entitiesOfRaw } from '../../upstream/typeorm'

interface Query {
  readonly builder: SelectQueryBuilder<ObjectLiteral>
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/**
 * TypeORM's `find` of the rows that have one of some values in `property`, its SQL made once: that takes TypeORM about
 * as long as it takes a database to answer.
 */
export class RepeatedFind {
  private readonly list: List
  private readonly queries = new Map<number, Query>()

  constructor(
    private readonly dataSource: DataSource,
    private readonly metadata: EntityMetadata,
    private readonly property: string,
    private readonly options: FindManyOptions<ObjectLiteral>,
  ) {
    const dialect = dialectOf(dataSource.options.type)
    this.list = dialect ? LISTS[dialect] : ANY_LIST
  }

  run(runner: QueryRunner, values: readonly (string | number)[]): Promise<ObjectLiteral[]> {
    const bound = this.list.bind(values)
    const { builder, sql, parameters } = this.query(bound.length)
    let next = 0
    const filled = parameters.map((parameter) => (parameter === PLACE ? bound[next++] : parameter))
    const query = builder.clone().setQueryRunner(runner)
    query.getQueryAndParameters = () => [sql, filled]
    return query.getMany()
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

/** Stands for a parameter whose value is not known yet. */
const PLACE = { place: true }

/** How a database takes a list of values. */
interface List {
  /** The values as parameters: few different numbers of them, so that few statements are made. */
  bind(values: readonly (string | number)[]): readonly unknown[]
  contains(places: unknown[]): FindOperator<unknown>
  /** The type to which a text can be cast, of a column whose type is `type`. */
  castOf?(type: string): string | undefined
}

const ANY_LIST: List = {
  bind: (values) => [
    ...values,
    ...Array.from({ length: 2 ** Math.ceil(Math.log2(values.length)) - values.length }, () => values[0]),
  ],
  contains: (places) => In(places),
}

const PLAIN_TYPES = new Set(['smallint', 'integer', 'bigint', 'uuid', 'text', 'character varying'])

const LISTS: Readonly<Record<Dialect, List>> = {
  postgres: {
    bind: (values) => [values],
    contains: ([place]) => Any(place as never),
    castOf: (type) => (PLAIN_TYPES.has(type) ? type : undefined),
  },
  sqlite: {
    bind: (values) => [JSON.stringify(values)],
    contains: ([list]) => Raw((column) => `${column} IN (SELECT value FROM json_each(:list))`, { list }),
  },
  mariadb: ANY_LIST,
}

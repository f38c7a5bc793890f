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
import { dialectOf, type Dialect } from '../dialect'

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
}

const ANY_LIST: List = {
  bind: (values) => [
    ...values,
    ...Array.from({ length: 2 ** Math.ceil(Math.log2(values.length)) - values.length }, () => values[0]),
  ],
  contains: (places) => In(places),
}

const LISTS: Readonly<Record<Dialect, List>> = {
  postgres: {
    bind: (values) => [values],
    contains: ([place]) => Any(place as never),
  },
  sqlite: {
    bind: (values) => [JSON.stringify(values)],
    contains: ([list]) => Raw((column) => `${column} IN (SELECT value FROM json_each(:list))`, { list }),
  },
  mariadb: ANY_LIST,
}

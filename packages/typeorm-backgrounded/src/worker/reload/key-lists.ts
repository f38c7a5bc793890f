import { Any, In, Raw, type DataSource } from 'typeorm'
import { dialectOf, type Dialect } from '../../database/dialect'
import type { KeyList } from '../../upstream/repeated-find'

/** How this data source's database takes the keys of many rows. */
export function keyListOf({ options }: DataSource): KeyList {
  const dialect = dialectOf(options.type)
  return dialect ? LISTS[dialect] : ANY_LIST
}

const ANY_LIST: KeyList = {
  bind: (values) => [
    ...values,
    ...Array.from({ length: 2 ** Math.ceil(Math.log2(values.length)) - values.length }, () => values[0]),
  ],
  contains: (places) => In(places),
}

const PLAIN_TYPES = new Set(['smallint', 'integer', 'bigint', 'uuid', 'text', 'character varying'])

const LISTS: Readonly<Record<Dialect, KeyList>> = {
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

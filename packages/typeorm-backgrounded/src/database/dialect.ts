/** The kinds of database that tables of the plugin work on. MySQL counts as MariaDB. */
export type Dialect = 'sqlite' | 'postgres' | 'mariadb'

const DIALECTS: Readonly<Record<string, Dialect>> = {
  'better-sqlite3': 'sqlite',
  postgres: 'postgres',
  mariadb: 'mariadb',
  mysql: 'mariadb',
}

/** `type`s of data sources that have a dialect. */
export const SUPPORTED_DATABASES = Object.keys(DIALECTS)

/** @param driver the data source's `type` */
export function dialectOf(driver: string): Dialect | undefined {
  return Object.hasOwn(DIALECTS, driver) ? DIALECTS[driver] : undefined
}

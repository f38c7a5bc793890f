import { FAST_PATHS, type FastPathName } from '../fast-paths'
import type { Store } from '../places/place'
import type { OpenSide } from './side'
import { loadWithout } from './without'

interface SideEntry {
  readonly title: string
  readonly store: Store
  /** Loaded in the processes that use it only. */
  readonly load: () => Promise<{ open: OpenSide }>
}

const WHOLE_SIDES = {
  'library-redis': {
    title: 'this library, BullHandler',
    store: 'redis',
    load: () => import('./library-on-redis.js'),
  },
  'library-postgres': {
    title: 'this library, DatabaseHandler on Postgres',
    store: 'postgres',
    load: () => import('./library-in-database.js'),
  },
  'library-mariadb': {
    title: 'this library, DatabaseHandler on MariaDB',
    store: 'mariadb',
    load: () => import('./library-in-database.js'),
  },
  'library-sqlite': {
    title: 'this library, DatabaseHandler on SQLite',
    store: 'sqlite',
    load: () => import('./library-in-database.js'),
  },
  bull: { title: 'Bull by hand', store: 'redis', load: () => import('./bull.js') },
  bullmq: { title: 'BullMQ by hand', store: 'redis', load: () => import('./bullmq.js') },
  'bullmq-postgres': {
    title: 'BullMQ on Postgres by hand',
    store: 'postgres',
    load: () => import('./bullmq-postgres.js'),
  },
  graphile: { title: 'graphile-worker by hand', store: 'postgres', load: () => import('./graphile.js') },
  'graphile-batched': {
    title: 'graphile-worker by hand, local queue of 500, batched completion',
    store: 'postgres',
    load: () => import('./graphile-batched.js'),
  },
  'pg-boss': {
    title: 'pg-boss by hand, batches of 500',
    store: 'postgres',
    load: () => import('./pg-boss.js'),
  },
  insert: { title: 'an INSERT of the job by hand', store: 'postgres', load: () => import('./insert.js') },
  'floor-sqlite': { title: 'floor: raw SQL on SQLite', store: 'sqlite', load: () => import('./floor-sqlite.js') },
  'floor-mariadb': { title: 'floor: raw SQL on MariaDB', store: 'mariadb', load: () => import('./floor-mariadb.js') },
} as const satisfies Record<string, SideEntry>

type WholeSideName = keyof typeof WHOLE_SIDES
type SideWithoutName = `library-${Store}-without-${FastPathName}`
export type SideName = WholeSideName | SideWithoutName

/** Every side by its name: also this library on each store without each of its fast paths there. */
export const SIDES: Readonly<Record<SideName, SideEntry>> = { ...WHOLE_SIDES, ...sidesWithout() }

function sidesWithout(): Record<SideWithoutName, SideEntry> {
  const names = Object.keys(FAST_PATHS) as FastPathName[]
  const entries = names.flatMap((name) =>
    FAST_PATHS[name].stores.map((store): [string, SideEntry] => [
      `library-${store}-without-${name}`,
      {
        title: FAST_PATHS[name].title,
        store,
        load: () => loadWithout(name, WHOLE_SIDES[`library-${store}`].load),
      },
    ]),
  )
  return Object.fromEntries(entries) as Record<SideWithoutName, SideEntry>
}

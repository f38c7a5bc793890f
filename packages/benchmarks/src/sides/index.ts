import type { Store } from '../places/place'
import type { OpenSide } from './side'

interface SideEntry {
  readonly title: string
  readonly store: Store
  /** Loaded in the processes that use it only. */
  readonly load: () => Promise<{ open: OpenSide }>
}

/** Every side by its name. */
export const SIDES = {
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
  'library-without-prefetch': {
    title: 'without rows prefetched',
    store: 'postgres',
    load: () => import('./library-without-prefetch.js'),
  },
  'library-without-listen': {
    title: 'without LISTEN, prepared statements and rows prefetched',
    store: 'postgres',
    load: () => import('./library-without-listen.js'),
  },
  'library-without-notify': {
    title: 'without NOTIFY',
    store: 'postgres',
    load: () => import('./library-without-notify.js'),
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

export type SideName = keyof typeof SIDES

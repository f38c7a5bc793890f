import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMariaDb, dropMariaDb } from './mariadb'
import type { Place, PrivatePlace, Store } from './place'
import { createPostgres, dropPostgres, vacuum } from './postgres'
import { startRedis } from './redis-server'

/** Those that are not disposed of yet, and those that are being made: a run that is broken off waits for both. */
const open = new Set<PrivatePlace>()
const opening = new Set<Promise<PrivatePlace>>()
let isOver = false

/** A place of its own for one side. With Redis comes a Postgres, for the rows. */
export async function createPlace(store: Store, pool: number, node: string): Promise<PrivatePlace> {
  if (isOver) throw new Error('The run is over.')
  const place = make(store, pool, node)
  opening.add(place)
  return place.finally(() => opening.delete(place))
}

/** No place is made after this. */
export async function disposeAll(): Promise<void> {
  isOver = true
  await Promise.allSettled(opening)
  await Promise.allSettled([...open].map((place) => place.dispose()))
}

async function make(store: Store, pool: number, node: string): Promise<PrivatePlace> {
  const { parts, letCatchUp, dispose } = await PARTS[store](`backgrounded_bench_${randomBytes(6).toString('hex')}`)
  const place: PrivatePlace = {
    ...parts,
    pool,
    store,
    node,
    isBlank: true,
    letCatchUp,
    async dispose() {
      if (open.delete(place)) await dispose()
    },
  }
  open.add(place)
  return place
}

interface Parts {
  readonly parts: Omit<Place, 'pool' | 'isBlank'>
  readonly letCatchUp: () => Promise<void>
  readonly dispose: () => Promise<void>
}

const PARTS: Readonly<Record<Store, (name: string) => Promise<Parts>>> = {
  async postgres(name) {
    const postgres = await createPostgres(name)
    return { parts: { postgres }, letCatchUp: () => vacuum(postgres), dispose: () => dropPostgres(postgres) }
  },

  async redis(name) {
    const { parts, letCatchUp, dispose } = await PARTS.postgres(name)
    const redis = await startRedis()
    return {
      parts: { ...parts, redis: { host: redis.host, port: redis.port } },
      letCatchUp,
      async dispose() {
        await redis.end()
        await dispose()
      },
    }
  },

  async mariadb(name) {
    const mariadb = await createMariaDb(name)
    return { parts: { mariadb }, letCatchUp: async () => {}, dispose: () => dropMariaDb(mariadb) }
  },

  async sqlite(name) {
    const directory = mkdtempSync(join(tmpdir(), `${name}-`))
    return {
      parts: { sqlite: join(directory, 'bench.sqlite') },
      letCatchUp: async () => {},
      dispose: async () => rmSync(directory, { recursive: true, force: true }),
    }
  },
}

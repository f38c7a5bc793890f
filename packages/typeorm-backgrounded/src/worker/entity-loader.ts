import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { Batcher, runInHalves } from '../batcher'
import { isConnectionError, isDataError } from '../database-errors'
import { InvalidKeyError } from '../errors'
import type { ClaimedJob, RowReading, RowsRead } from '../handlers/handler'
import type { JsonObject } from '../job/json'
import { keyOf, keyText, whereOf } from '../job/key-codec'
import type { MarkedEntity } from '../metadata/method-table'
import { ReadRows } from './read-rows'
import { RowsByKey, type LoadOptions } from './rows-by-key'

interface Request {
  readonly where: ObjectLiteral
  readonly key: string
}

/** The row that a key names, nothing where it is gone, or why nobody knows. */
export type Found = { readonly entity: ObjectLiteral | undefined } | { readonly error: unknown }

/** Rows of one class, loaded with the same options. */
interface Kind {
  readonly batcher: Batcher<Request, Found>
  readonly reading: RowReading | undefined
  readonly read: ReadRows
}

/**
 * Loads rows by key, batched: one `find` per class and options is on its way, what is asked for meanwhile goes
 * with the next. Reads the primary, past every cache, and gives every request an object of its own.
 */
export class EntityLoader {
  private readonly kinds = new Map<string, Kind>()
  /** The same ones, at hand. */
  private readonly known = new Map<MarkedEntity, Map<LoadOptions, Kind>>()
  private last: Kind | undefined

  constructor(
    private readonly dataSource: DataSource,
    /** An open test transaction to read in, if there is one. */
    private readonly testManager: () => EntityManager | undefined = () => undefined,
  ) {}

  /** Of the rows that were loaded for a job last, for a store that can read them along with its claim. */
  get reading(): RowReading | undefined {
    return this.testManager() ? undefined : this.last?.reading
  }

  /**
   * The row of a job's key, or InvalidKeyError or the database's error in place of it.
   * @throws InvalidKeyError for a key that is none of this entity
   */
  load(entity: MarkedEntity, key: JsonObject, options: LoadOptions): Promise<Found> {
    return this.kind(entity, options).batcher.add(requestOf(entity, key))
  }

  /** The same, of the row that `job` is about: it may have come along with the claim. */
  loadFor({ read }: ClaimedJob, entity: MarkedEntity, key: JsonObject, options: LoadOptions): Promise<Found> {
    const request = requestOf(entity, key)
    const kind = (this.last = this.kind(entity, options))
    return read && read.reading === kind.reading ? takeOrLoad(kind, read, request) : kind.batcher.add(request)
  }

  private kind(entity: MarkedEntity, options: LoadOptions): Kind {
    let known = this.known.get(entity)
    if (!known) this.known.set(entity, (known = new Map<LoadOptions, Kind>()))
    let kind = known.get(options)
    if (!kind) {
      const id = JSON.stringify([entity.name, options.relations, options.withDeleted])
      kind = this.kinds.get(id) ?? this.newKind(entity, options)
      this.kinds.set(id, kind)
      known.set(options, kind)
    }
    return kind
  }

  private newKind({ name, metadata }: MarkedEntity, options: LoadOptions): Kind {
    // Two jobs on one row must not share an object: the second goes with the next batch.
    const admission = () => {
      const keys = new Set<string>()
      return ({ key }: Request) => !keys.has(key) && Boolean(keys.add(key))
    }
    const rows = new RowsByKey(this.dataSource, metadata, options)
    const find = (requests: readonly Request[]) => this.find(metadata, rows, requests)
    const failed = ({ key }: Request, cause: unknown): Found => {
      if (!isDataError(cause)) return { error: cause }
      return { error: new InvalidKeyError(`The database refuses the key ${key} of ${name}.`, { cause }) }
    }
    const run = (requests: readonly Request[]) => runInHalves(requests, find, failed, isConnectionError)
    return {
      batcher: new Batcher<Request, Found>(run, { items: 500, admission }),
      reading: rows.reading(name),
      read: new ReadRows((raw) =>
        this.withPrimary(async (manager) => byKey(metadata, await rows.hydrate(manager, raw))),
      ),
    }
  }

  private find(metadata: EntityMetadata, rows: RowsByKey, requests: readonly Request[]): Promise<Found[]> {
    return this.withPrimary(async (manager) => {
      const wheres = requests.map(({ where }) => where)
      const entities = byKey(metadata, await rows.find(manager, wheres))
      const found: Found[] = []
      for (const { key, where } of requests) {
        // Databases compare and print keys in their own ways: no batch declares a row gone.
        found.push({ entity: entities.get(key) ?? (await rows.findOne(manager, where)) })
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

async function takeOrLoad({ read, batcher }: Kind, rows: RowsRead, request: Request): Promise<Found> {
  const entity = await read.take(rows, request.key)
  return entity ? { entity } : batcher.add(request)
}

/** @throws InvalidKeyError */
function requestOf({ metadata }: MarkedEntity, key: JsonObject): Request {
  return { where: whereOf(metadata, key), key: keyText(key) }
}

function byKey(metadata: EntityMetadata, rows: readonly ObjectLiteral[]): Map<string, ObjectLiteral> {
  return new Map(rows.map((row) => [keyText(keyOf(metadata, row)), row]))
}

/** @throws what kept the row from being loaded */
export function entityOf(found: Found): ObjectLiteral | undefined {
  if ('error' in found) throw found.error
  return found.entity
}

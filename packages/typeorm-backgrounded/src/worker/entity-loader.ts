import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { Batcher, runInHalves } from '../batcher'
import { isConnectionError, isDataError } from '../database-errors'
import { InvalidKeyError } from '../errors'
import type { JsonObject } from '../job/json'
import { keyOf, keyText, whereOf } from '../job/key-codec'
import type { MarkedEntity } from '../metadata/method-table'
import { RowsByKey, type LoadOptions } from './rows-by-key'

interface Request {
  readonly where: ObjectLiteral
  readonly key: string
}

/** The row that a key names, nothing where it is gone, or why nobody knows. */
export type Found = { readonly entity: ObjectLiteral | undefined } | { readonly error: unknown }

/**
 * Loads rows by key, batched: one `find` per class and options is on its way, what is asked for meanwhile goes
 * with the next. Reads the primary, past every cache, and gives every request an object of its own.
 */
export class EntityLoader {
  private readonly batchers = new Map<string, Batcher<Request, Found>>()
  /** The same ones, at hand. */
  private readonly known = new Map<MarkedEntity, Map<LoadOptions, Batcher<Request, Found>>>()

  constructor(
    private readonly dataSource: DataSource,
    /** An open test transaction to read in, if there is one. */
    private readonly testManager: () => EntityManager | undefined = () => undefined,
  ) {}

  /**
   * The row of a job's key, or InvalidKeyError or the database's error in place of it.
   * @throws InvalidKeyError for a key that is none of this entity
   */
  load(entity: MarkedEntity, key: JsonObject, options: LoadOptions): Promise<Found> {
    const where = whereOf(entity.metadata, key)
    return this.batcher(entity, options).add({ where, key: keyText(key) })
  }

  private batcher(entity: MarkedEntity, options: LoadOptions): Batcher<Request, Found> {
    let known = this.known.get(entity)
    if (!known) this.known.set(entity, (known = new Map<LoadOptions, Batcher<Request, Found>>()))
    let batcher = known.get(options)
    if (!batcher) {
      const id = JSON.stringify([entity.name, options.relations, options.withDeleted])
      batcher = this.batchers.get(id) ?? this.newBatcher(entity, options)
      this.batchers.set(id, batcher)
      known.set(options, batcher)
    }
    return batcher
  }

  private newBatcher({ name, metadata }: MarkedEntity, options: LoadOptions): Batcher<Request, Found> {
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
    return new Batcher<Request, Found>(run, { items: 500, admission })
  }

  private find(metadata: EntityMetadata, rows: RowsByKey, requests: readonly Request[]): Promise<Found[]> {
    return this.withPrimary(async (manager) => {
      const wheres = requests.map(({ where }) => where)
      const byKey = new Map<string, ObjectLiteral>()
      for (const row of await rows.find(manager, wheres)) byKey.set(keyText(keyOf(metadata, row)), row)
      const found: Found[] = []
      for (const { key, where } of requests) {
        // Databases compare and print keys in their own ways: no batch declares a row gone.
        found.push({ entity: byKey.get(key) ?? (await rows.findOne(manager, where)) })
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

/** @throws what kept the row from being loaded */
export function entityOf(found: Found): ObjectLiteral | undefined {
  if ('error' in found) throw found.error
  return found.entity
}

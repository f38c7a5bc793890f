import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { Batcher, runInHalves } from '../../concurrency/batcher'
import { isConnectionError, isDataError } from '../../database/errors'
import { InvalidKeyError } from '../../errors'
import type { PrefetchedJob, PrefetchQuery, PrefetchedRows } from '../../handlers/contract/built-in'
import type { JsonObject } from '../../job/json'
import { isRowOf, isShownAsStored, keyTextOfRow, readKey, type ReadKey } from '../../job/key-codec'
import type { MarkedEntity } from '../../metadata/method-table'
import { withPoolRunner, type Patience } from '../../database/pool-runner'
import type { RepeatedFinds } from '../../upstream/repeated-find'
import { UnusedRows } from './unused-rows'
import { RowsByKey, type LoadOptions } from './rows-by-key'

const PATIENCE: Patience = { connect: 15_000, answer: 15_000, subject: 'The rows of jobs have not been loaded' }

/** The row of a key, undefined when it is gone, or the error that kept it from being loaded. */
export type Found = { readonly entity: ObjectLiteral | undefined } | { readonly error: unknown }

/** Rows of one class, loaded with the same options. */
interface Kind {
  readonly batcher: Batcher<ReadKey, Found>
  readonly prefetchQuery: PrefetchQuery | undefined
  readonly prefetched: UnusedRows
}

/**
 * Loads rows by key, in batches: one `find` per class and options runs at a time, and keys that come meanwhile go with the
 * next one. Reads the primary, past every cache, and gives every request an object of its own.
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
    /** Which shortcuts work with the installed TypeORM. */
    private readonly repeatedFinds: () => RepeatedFinds = () => ({ repeatSql: true, hydrate: true }),
  ) {}

  /** A query for rows like those that a job has loaded last, for a store that can prefetch them with a claim. */
  get prefetchQuery(): PrefetchQuery | undefined {
    return this.testManager() || !this.repeatedFinds().hydrate ? undefined : this.last?.prefetchQuery
  }

  /**
   * The row of a job's key, or InvalidKeyError or the database's error in place of it.
   * @throws InvalidKeyError for a key that is none of this entity
   */
  load(entity: MarkedEntity, key: JsonObject, options: LoadOptions): Promise<Found> {
    return this.kind(entity, options).batcher.add(readKey(entity.metadata, key))
  }

  /** The same for the row of `job`, which may have been prefetched. */
  loadFor(
    { prefetched: read }: PrefetchedJob,
    entity: MarkedEntity,
    key: JsonObject,
    options: LoadOptions,
  ): Promise<Found> {
    const asked = readKey(entity.metadata, key)
    const kind = (this.last = this.kind(entity, options))
    return read && read.query === kind.prefetchQuery ? takeOrLoad(kind, read, asked) : kind.batcher.add(asked)
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
    // Two jobs on one row must not share an object, so the second goes with the next batch.
    const admission = () => {
      const keys = new Set<string>()
      return ({ text }: ReadKey) => !keys.has(text) && Boolean(keys.add(text))
    }
    const rows = new RowsByKey(this.dataSource, metadata, options, () => this.repeatedFinds().repeatSql)
    const find = (keys: readonly ReadKey[]) => this.find(metadata, rows, keys)
    const failed = ({ text }: ReadKey, cause: unknown): Found => {
      if (!isDataError(cause)) return { error: cause }
      return { error: new InvalidKeyError(`The database refuses the key ${text} of ${name}.`, { cause }) }
    }
    const run = (keys: readonly ReadKey[]) => runInHalves(keys, find, failed, isConnectionError)
    return {
      batcher: new Batcher<ReadKey, Found>(run, { items: 500, admission }),
      prefetchQuery: rows.prefetchQuery(name),
      prefetched: new UnusedRows(async (raw) =>
        byKey(metadata, await this.withoutConnection((manager) => rows.hydrate(manager, raw))),
      ),
    }
  }

  private find(metadata: EntityMetadata, rows: RowsByKey, keys: readonly ReadKey[]): Promise<Found[]> {
    return this.withPrimary(async (manager) => {
      const matched = isShownAsStored(metadata) ? byKey(metadata, await rows.find(manager, keys)) : undefined
      const found: Found[] = []
      for (const key of keys) {
        // Databases compare and print keys in their own ways, so a row missing in a batch is loaded again by itself.
        const entity = matched?.get(key.text) ?? theRowOf(metadata, key, await rows.find(manager, [key]))
        found.push({ entity })
      }
      return found
    })
  }

  /** Of what needs none: TypeORM makes entities with a runner at hand. */
  private async withoutConnection<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner('master')
    try {
      return await work(runner.manager)
    } finally {
      await runner.release()
    }
  }

  private withPrimary<T>(read: (manager: EntityManager) => Promise<T>): Promise<T> {
    const testManager = this.testManager()
    if (testManager) return read(testManager)
    return withPoolRunner(this.dataSource, (runner) => read(runner.manager), PATIENCE)
  }
}

async function takeOrLoad({ prefetched: read, batcher }: Kind, rows: PrefetchedRows, key: ReadKey): Promise<Found> {
  const entity = await read.take(rows, key.text)
  return entity ? { entity } : batcher.add(key)
}

/** Leaves out rows that show the same key, because only the database can tell them apart. */
function byKey(metadata: EntityMetadata, rows: readonly ObjectLiteral[]): Map<string, ObjectLiteral> {
  const matched = new Map<string, ObjectLiteral>()
  const ambiguous = new Set<string>()
  for (const row of rows) {
    const text = keyTextOfRow(metadata, row)
    if (text === undefined) continue
    if (matched.has(text)) ambiguous.add(text)
    matched.set(text, row)
  }
  for (const text of ambiguous) matched.delete(text)
  return matched
}

/** @throws InvalidKeyError where several rows fit */
function theRowOf(metadata: EntityMetadata, key: ReadKey, rows: readonly ObjectLiteral[]): ObjectLiteral | undefined {
  const fitting = rows.filter((row) => isRowOf(metadata, key, row))
  if (fitting.length <= 1) return fitting[0]
  const [exact, ...more] = fitting.filter((row) => keyTextOfRow(metadata, row) === key.text)
  if (exact && more.length === 0) return exact
  throw new InvalidKeyError(`The key ${key.text} fits ${fitting.length} rows of ${metadata.name}: give it in full.`)
}

/** @throws what kept the row from being loaded */
export function entityOf(found: Found): ObjectLiteral | undefined {
  if ('error' in found) throw found.error
  return found.entity
}

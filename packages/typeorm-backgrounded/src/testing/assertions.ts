import { isDeepStrictEqual } from 'node:util'
import { runtimes } from '../plugin/runtime'
import { AssertionFailedError } from '../errors'
import type { EncodedArguments } from '../job/arguments/encode'
import type { EntityClass } from '../job/entity-reference'
import type { JobEnvelope } from '../job/envelope'
import { checkKnown } from '../job/known-options'
import { keyFromValue, keyText } from '../job/key-codec'
import type { MarkedEntity } from '../metadata/method-table'
import type { Class } from '../metadata/registry'
import { FakeHandler } from './fake-handler'

/** What an enqueued job must look like. Anything that is left out matches every job. */
export interface EnqueuedQuery {
  /** The entity's key, as `reference()` takes it. */
  readonly key?: unknown
  /** All arguments, in order; an entity is compared by its key. */
  readonly args?: readonly unknown[]
}

type Names<T> = { [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never }[keyof T] & string

/**
 * Asserts that a `FakeHandler` got a job for this method, and returns the first one that matches.
 * @throws AssertionFailedError, which lists what was enqueued instead
 */
export function assertEnqueued<C extends EntityClass>(
  entityClass: C,
  method: Names<InstanceType<C>> | Names<C>,
  query: EnqueuedQuery = {},
): JobEnvelope {
  checkKnown(query, ['key', 'args'], 'assertEnqueued')
  const fake = fakeOf(entityClass)
  const { jobs, entity } = fake
  const found = jobs.find((job) => fits(job, fake, method, query))
  if (found) return found
  const seen = jobs.map((job) => `  ${describe(job)}`).join('\n')
  throw new AssertionFailedError(
    `Expected a job for ${entity.name}.${method}${describeQuery(query)}, but ${seen ? `these were enqueued:\n${seen}` : 'no job was enqueued.'}`,
  )
}

/**
 * Asserts that no matching job was enqueued.
 * @throws AssertionFailedError
 */
export function assertNotEnqueued<C extends EntityClass>(
  entityClass: C,
  method: Names<InstanceType<C>> | Names<C>,
  query: EnqueuedQuery = {},
): void {
  checkKnown(query, ['key', 'args'], 'assertNotEnqueued')
  const fake = fakeOf(entityClass)
  const { jobs, entity } = fake
  const found = jobs.find((job) => fits(job, fake, method, query))
  if (found)
    throw new AssertionFailedError(
      `Expected no job for ${entity.name}.${method}${describeQuery(query)}, but this one was enqueued: ${describe(found)}.`,
    )
}

interface Fake {
  readonly jobs: readonly JobEnvelope[]
  readonly entity: MarkedEntity
  readonly encode: (args: readonly unknown[]) => EncodedArguments
}

function fakeOf(entityClass: EntityClass): Fake {
  for (const { handler, methods, dispatcher } of runtimes()) {
    const entity = methods.ofClass(entityClass as Class)
    if (entity && handler instanceof FakeHandler) {
      return { jobs: handler.jobs, entity, encode: (args) => dispatcher.envelopes.encode(args) }
    }
  }
  throw new AssertionFailedError(
    `No initialised data source with ${entityClass.name} has a FakeHandler: attach it with withBackgrounded(dataSource, { handler: new FakeHandler() }).`,
  )
}

function fits(job: JobEnvelope, { entity, encode }: Fake, property: string, query: EnqueuedQuery): boolean {
  const method = entity.methods.get(property) ?? entity.statics.get(property)
  if (job.entity !== entity.name || job.method !== (method?.name ?? property)) return false
  if (query.key !== undefined && keyText(job.key ?? {}) !== keyText(keyFromValue(entity.metadata, query.key)))
    return false
  if (query.args === undefined) return true
  const { args, types = {} } = encode(query.args)
  return isDeepStrictEqual(asJson([args, types]), asJson([job.args, job.types ?? {}]))
}

/** A copy in this realm, because Jest's code makes objects of another one, which are never equal to these. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function describe({ entity, key, method, args }: JobEnvelope): string {
  return `${entity}${key ? ` ${JSON.stringify(key)}` : ''} ${method}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`
}

function describeQuery(query: EnqueuedQuery): string {
  const wanted = Object.entries(query).map(([name, value]) => `${name} ${safeJson(value)}`)
  return wanted.length > 0 ? ` with ${wanted.join(' and ')}` : ''
}

function safeJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each))
}

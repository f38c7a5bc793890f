import { v7 as uuid } from 'uuid'
import {
  InvalidArgumentError,
  InvalidKeyError,
  NotAttachedError,
  NotBackgroundedError,
  UnsupportedOptionError,
} from '../errors'
import type { Handler } from '../handlers/contract/handler'
import { encodeArguments, type EncodedArguments } from '../job/arguments/encode'
import type { StoredReference } from '../job/arguments/stored-reference'
import { milliseconds } from '../job/duration'
import { EntityReference } from '../job/entity-reference'
import type { JobEnvelope, JobKey } from '../job/envelope'
import type { JsonObject } from '../job/json'
import { keyFromValue, keyOf } from '../job/key-codec'
import { checkStableName, type MarkedEntity, type MarkedMethod, type MethodTable } from '../metadata/method-table'
import type { Class } from '../metadata/registry'
import { checkCallOptions, type CallOptions } from '../metadata/options'

/** What a call is made on: an entity, a reference to one, or the class of a static method. */
export type Receiver = object

/** Turns calls into envelopes for one data source. */
export class EnvelopeMaker {
  constructor(
    private readonly source: string,
    private readonly methods: MethodTable,
    private readonly handler: Handler,
    private readonly now: () => number,
  ) {}

  /**
   * @throws NotBackgroundedError, MissingKeyError, InvalidArgumentError, InvalidOptionError, UnsupportedOptionError
   */
  make(receiver: Receiver, property: string, args: readonly unknown[], options?: CallOptions): JobEnvelope {
    return this.makeFor(this.methodOf(receiver, property), receiver, args, options)
  }

  /** The same for a method that is known already. */
  makeFor(
    method: MarkedMethod,
    receiver: Receiver,
    args: readonly unknown[] = [],
    options?: CallOptions,
    meta: JsonObject = {},
  ): JobEnvelope {
    const { entity, isStatic, name } = method
    const now = this.now()
    const enqueuedAt = new Date(now).toISOString()
    const { args: encoded, types } = this.encode(args)
    const envelope: JobEnvelope = {
      v: 1,
      id: uuid(),
      source: this.source,
      entity: entity.name,
      key: isStatic ? undefined : this.keyOf(entity, receiver),
      method: name,
      args: encoded,
      types,
      queue: method.options.queue,
      priority: method.options.priority,
      enqueuedAt,
      runAt: enqueuedAt,
      meta,
    }
    return options !== undefined ? { ...envelope, ...this.optionsOf(options, method, now) } : envelope
  }

  private optionsOf(options: CallOptions, method: MarkedMethod, now: number): Partial<JobEnvelope> {
    const subject = `${method.entity.name}.${method.property}`
    checkCallOptions(options, subject)
    this.checkHonoured(options, subject)
    const { delay, runAt, queue, priority, attempts } = options
    const wait = delay === undefined ? undefined : milliseconds(delay, 'delay')
    return {
      ...(queue === undefined ? {} : { queue }),
      ...(priority === undefined ? {} : { priority }),
      ...(wait === undefined ? {} : { runAt: new Date(now + wait).toISOString() }),
      ...(wait ? { delay: wait } : {}),
      ...(runAt === undefined ? {} : { runAt: runAt.toISOString() }),
      ...(attempts === undefined ? {} : { attempts }),
    }
  }

  /** @throws InvalidArgumentError */
  encode(args: readonly unknown[]): EncodedArguments {
    return encodeArguments(args, (value) => this.referenceTo(value))
  }

  private methodOf(receiver: Receiver, property: string): MarkedMethod {
    const isStatic = typeof receiver === 'function'
    const target = classOf(receiver)
    const entity = this.methods.ofClass(target)
    if (!entity) throw notAttached(receiver)
    const method = (isStatic ? entity.statics : entity.methods).get(property)
    if (!method) throw new NotBackgroundedError(entity.name, property)
    return method
  }

  private keyOf(entity: MarkedEntity, receiver: Receiver): JobKey {
    return receiver instanceof EntityReference
      ? keyFromValue(entity.metadata, receiver.key)
      : keyOf(entity.metadata, receiver)
  }

  private referenceTo(value: object): StoredReference | undefined {
    const target = value instanceof EntityReference ? (value.entityClass as Class) : classOfInstance(value)
    const entity = target && this.methods.ofClass(target)
    if (entity && this.methods.named(entity.name) !== entity) {
      throw new InvalidArgumentError(
        entity.name,
        'is the name of two entities: give one a name with @BackgroundedEntity, it',
      )
    }
    if (entity) checkStableName(entity)
    if (entity) return { entity: entity.name, key: this.keyOf(entity, value) }
    if (value instanceof EntityReference) throw new InvalidKeyError(`${target?.name} is no entity of this data source.`)
    return undefined
  }

  /** The methods' own options were checked at start-up. */
  private checkHonoured(options: CallOptions, subject: string): void {
    const { honours } = this.handler.capabilities
    const isDelayed = options.delay !== undefined || options.runAt !== undefined
    if (isDelayed && !honours.delay) throw unsupported(this.handler, subject, 'a delay')
    if ((options.priority ?? 0) !== 0 && !honours.priority) throw unsupported(this.handler, subject, 'a priority')
  }
}

/** @throws UnsupportedOptionError for a marked method whose options the handler cannot honour */
export function checkMethodsHonoured(methods: MethodTable, handler: Handler): void {
  for (const entity of methods.marked) {
    for (const method of [...entity.methods.values(), ...entity.statics.values()]) {
      if (method.options.priority !== 0 && !handler.capabilities.honours.priority) {
        throw unsupported(handler, `${entity.name}.${method.property}`, 'a priority')
      }
    }
  }
}

/** The class that a call is about. */
export function classOf(receiver: Receiver): Class {
  if (typeof receiver === 'function') return receiver as Class
  if (receiver instanceof EntityReference) return receiver.entityClass as Class
  return classOfInstance(receiver) ?? (Object as unknown as Class)
}

/** Why no data source can take a call on this. */
export function notAttached(receiver: Receiver): NotAttachedError {
  const given: unknown = receiver // without types, it may be anything
  if (given === null || (typeof given !== 'object' && typeof given !== 'function'))
    return NotAttachedError.forNoEntity(String(given))
  const prototype = Object.getPrototypeOf(given) as object | null
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  return isPlain ? NotAttachedError.forNoEntity('a plain object') : NotAttachedError.forEntity(classOf(receiver).name)
}

function classOfInstance(value: object): Class | undefined {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' ? (constructor as unknown as Class) : undefined
}

function unsupported(handler: Handler, subject: string, what: string): UnsupportedOptionError {
  const hint =
    handler.name === 'synchronous'
      ? 'pass { ignoreDelay: true } to SynchronousHandler to run it at once'
      : 'leave it out, or choose another handler'
  return new UnsupportedOptionError(`${subject} asks for ${what}, and the ${handler.name} handler has none: ${hint}.`)
}

import { types as kinds } from 'node:util'
import { InvalidArgumentError, MalformedJobError } from '../errors'
import type { JsonObject, JsonValue } from './json'

/** How an entity among the arguments is stored. */
export interface StoredReference {
  readonly entity: string
  readonly key: JsonObject
}

export interface EncodedArguments {
  readonly args: JsonValue[]
  /** Absent when `args` are plain JSON. */
  readonly types?: Record<string, string>
}

/** Names the reference of an entity, or nothing for any other object; throws when the entity has no key. */
export type Referrer = (value: object) => StoredReference | undefined

/**
 * A deep copy of `args` as JSON, with what JSON lacks described beside it by JSON pointer.
 * Anything that would come back changed is refused.
 * @throws InvalidArgumentError with the path of the bad value
 */
export function encodeArguments(args: readonly unknown[], referenceTo: Referrer): EncodedArguments {
  if (args.length === 0) return { args: [] }
  const encoder = new Encoder(referenceTo)
  const encoded = args.map((value, index) => encoder.encode(value, `/${index}`, `args[${index}]`))
  return encoder.isPlain ? { args: encoded } : { args: encoded, types: encoder.types }
}

class Encoder {
  readonly types: Record<string, string> = {}
  isPlain = true
  private readonly ancestors = new Set<object>()

  constructor(private readonly referenceTo: Referrer) {}

  encode(value: unknown, pointer: string, path: string): JsonValue {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        return this.encodeNumber(value, pointer, path)
      case 'bigint':
        return this.tagged('bigint', pointer, value.toString())
      case 'undefined':
        return this.tagged('undefined', pointer, null)
      case 'object':
        return value === null ? null : this.encodeObject(value, pointer, path)
      default:
        throw new InvalidArgumentError(path, `is a ${typeof value}`)
    }
  }

  private encodeNumber(value: number, pointer: string, path: string): JsonValue {
    if (!Number.isFinite(value)) throw new InvalidArgumentError(path, `is ${value}`)
    return Object.is(value, -0) ? this.tagged('number', pointer, '-0') : value
  }

  private encodeObject(value: object, pointer: string, path: string): JsonValue {
    if (this.ancestors.has(value)) throw new InvalidArgumentError(path, 'contains itself')
    this.ancestors.add(value)
    try {
      return this.encodeByKind(value, pointer, path)
    } finally {
      this.ancestors.delete(value)
    }
  }

  private encodeByKind(value: object, pointer: string, path: string): JsonValue {
    // By kind, never by instanceof: Jest and vm run code in a realm with classes of its own.
    if (Array.isArray(value)) return this.encodeArray(value, pointer, path)
    if (kinds.isDate(value) && isOwnKind(value)) {
      if (Number.isNaN(value.getTime())) throw new InvalidArgumentError(path, 'is an invalid Date')
      return this.tagged('Date', pointer, value.toISOString())
    }
    if (kinds.isMap(value) && isOwnKind(value)) {
      const entries = [...value].map((entry, index) =>
        this.encode(entry, `${pointer}/${index}`, `${path}.entry(${index})`),
      )
      return this.tagged('Map', pointer, entries)
    }
    if (kinds.isSet(value) && isOwnKind(value)) {
      const items = [...value].map((item, index) => this.encode(item, `${pointer}/${index}`, `${path}.item(${index})`))
      return this.tagged('Set', pointer, items)
    }
    if (Buffer.isBuffer(value)) return this.tagged('Buffer', pointer, value.toString('base64'))
    const reference = this.referenceTo(value)
    if (reference) return this.tagged('entity', pointer, { entity: reference.entity, key: reference.key })
    return this.encodePlainObject(value, pointer, path)
  }

  private encodeArray(value: unknown[], pointer: string, path: string): JsonValue {
    if (!Array.isArray(Object.getPrototypeOf(value)))
      throw new InvalidArgumentError(path, 'is an instance of a subclass of Array')
    const hasMore = Object.keys(value).some((name) => !/^\d+$/.test(name)) || hasSymbols(value)
    if (hasMore) throw new InvalidArgumentError(path, 'is an array with properties of its own')
    return Array.from(value, (item, index) => this.encode(item, `${pointer}/${index}`, `${path}[${index}]`))
  }

  private encodePlainObject(value: object, pointer: string, path: string): JsonValue {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && !isPlainPrototype(prototype)) {
      throw new InvalidArgumentError(path, `is an instance of ${value.constructor?.name || 'a class'}`)
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      throw new InvalidArgumentError(path, 'has a toJSON method')
    }
    if (hasSymbols(value)) throw new InvalidArgumentError(path, 'has a symbol among its keys')
    // fromEntries defines own properties, so that a key named __proto__ stays a key.
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        this.encode(item, `${pointer}/${escapePointer(name)}`, propertyPath(path, name)),
      ]),
    )
  }

  private tagged(type: string, pointer: string, json: JsonValue): JsonValue {
    this.isPlain = false
    this.types[pointer] = type
    return json
  }
}

/** Where the arguments hold entities, by pointer. */
export function storedReferences(
  args: JsonValue[],
  types: Readonly<Record<string, string>>,
): Map<string, StoredReference> {
  const found = new Map<string, StoredReference>()
  for (const [pointer, type] of Object.entries(types)) {
    if (type !== 'entity') continue
    const { holder, name } = locate(args, pointer)
    found.set(pointer, readReference(holder[name], pointer))
  }
  return found
}

/**
 * The inverse of `encodeArguments`. Changes `args` in place.
 * @param entities the loaded entities, by pointer
 * @throws MalformedJobError
 */
export function decodeArguments(
  args: JsonValue[],
  types: Readonly<Record<string, string>>,
  entities: ReadonlyMap<string, object>,
): unknown[] {
  // Deepest first: a Map is made of what its entries have become.
  const pointers = Object.keys(types).sort((a, b) => depth(b) - depth(a))
  for (const pointer of pointers) {
    const { holder, name } = locate(args, pointer)
    const type = types[pointer] as string
    const value = type === 'entity' ? entities.get(pointer) : revive(type, holder[name], pointer)
    Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
  }
  return args
}

function revive(type: string, json: unknown, pointer: string): unknown {
  switch (type) {
    case 'undefined':
      return undefined
    case 'Date':
      return readDate(json, pointer)
    case 'Map':
      return new Map(readList(json, pointer) as [unknown, unknown][])
    case 'Set':
      return new Set(readList(json, pointer))
    case 'bigint':
      if (typeof json === 'string' && /^-?\d+$/.test(json)) return BigInt(json)
      break
    case 'number':
      if (json === '-0') return -0
      break
    case 'Buffer':
      if (typeof json === 'string') return Buffer.from(json, 'base64')
      break
  }
  throw new MalformedJobError(`The job's types say "${type}" at "${pointer}", and args hold something else.`)
}

function readDate(json: unknown, pointer: string): Date {
  const date = new Date(typeof json === 'string' ? json : NaN)
  if (Number.isNaN(date.getTime())) throw new MalformedJobError(`The job's args hold no time at "${pointer}".`)
  return date
}

function readList(json: unknown, pointer: string): unknown[] {
  if (Array.isArray(json)) return json
  throw new MalformedJobError(`The job's args hold no list at "${pointer}".`)
}

function readReference(json: unknown, pointer: string): StoredReference {
  const { entity, key } = (json ?? {}) as { entity?: unknown; key?: unknown }
  if (typeof entity !== 'string' || typeof key !== 'object' || key === null || Array.isArray(key)) {
    throw new MalformedJobError(`The job's args hold no entity reference at "${pointer}".`)
  }
  return { entity, key: key as JsonObject }
}

function locate(args: JsonValue[], pointer: string): { holder: Record<string, unknown>; name: string } {
  const names = pointer.split('/').slice(1).map(unescapePointer)
  const name = names.pop()
  let holder: unknown = args
  for (const step of names) holder = ownValue(holder, step, pointer)
  if (name === undefined) throw new MalformedJobError(`The job's types hold "${pointer}", which points nowhere.`)
  ownValue(holder, name, pointer)
  return { holder: holder as Record<string, unknown>, name }
}

function ownValue(holder: unknown, name: string, pointer: string): unknown {
  if (typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name)) {
    return (holder as Record<string, unknown>)[name]
  }
  throw new MalformedJobError(`The job's types hold "${pointer}", which points nowhere.`)
}

function depth(pointer: string): number {
  return pointer.split('/').length
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function unescapePointer(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}

function propertyPath(path: string, name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
}

/** `Object.prototype` of any realm. */
function isPlainPrototype(prototype: unknown): boolean {
  return prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** A Date, Map or Set itself, and of no subclass, which would not come back. */
function isOwnKind(value: object): boolean {
  return isPlainPrototype(Object.getPrototypeOf(Object.getPrototypeOf(value)))
}

function hasSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).length > 0
}

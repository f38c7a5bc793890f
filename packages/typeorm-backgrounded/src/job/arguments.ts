import { types as kinds } from 'node:util'
import { InvalidArgumentError, MalformedJobError, PayloadTooLargeError } from '../errors'
import type { JsonObject, JsonValue } from './json'
import { LARGEST_PAYLOAD } from './largest-payload'

const BIGINT_DIGITS = 10_000
const BIGINT_LIMIT = 10n ** BigInt(BIGINT_DIGITS)
/** Of values in one another; the call stack ends at a few thousand. */
const DEEPEST = 1_000
/** Of what an error says about where the bad value stands, in characters. */
const LONGEST_PATH = 300

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
 * Anything that would come back changed is refused, and so is what no job could hold, as soon as that shows.
 * @throws InvalidArgumentError, PayloadTooLargeError with the path of the bad value
 */
export function encodeArguments(args: readonly unknown[], referenceTo: Referrer): EncodedArguments {
  if (args.length === 0) return { args: [] }
  const encoder = new Encoder(referenceTo)
  const encoded = encoder.encodeAll(args)
  return encoder.isPlain ? { args: encoded } : { args: encoded, types: encoder.types }
}

/** How a value stands in the one that holds it. */
type Place = 'index' | 'entry' | 'item' | 'property'

class Encoder {
  readonly types: Record<string, string> = {}
  isPlain = true
  /** What the encoded text may still grow by, in bytes. */
  private left = LARGEST_PAYLOAD
  /** The objects around the value at hand: a list, since they are few, and come and go with every object. */
  private readonly around: object[] = []
  // The way to the value at hand. It is put into words for the few that need them.
  private depth = 0
  private readonly names: (string | number)[] = []
  private readonly places: Place[] = []
  private readonly pointers: (string | undefined)[] = ['']

  constructor(private readonly referenceTo: Referrer) {}

  encodeAll(args: readonly unknown[]): JsonValue[] {
    return this.encodeEach(args.length, args, 'index')
  }

  private encode(value: unknown): JsonValue {
    this.spend(2) // a digit and a comma
    switch (typeof value) {
      case 'string':
        this.spend(value.length + 1)
        return value
      case 'boolean':
        return value
      case 'number':
        return this.encodeNumber(value)
      case 'bigint':
        return this.encodeBigint(value)
      case 'undefined':
        return this.tagged('undefined', null)
      case 'object':
        return value === null ? null : this.encodeObject(value)
      default:
        throw this.refused(`is a ${typeof value}`)
    }
  }

  private encodeNumber(value: number): JsonValue {
    if (!Number.isFinite(value)) throw this.refused(`is ${value}`)
    if (Object.is(value, -0)) return this.tagged('number', '-0')
    if (!(value >= 0 && value < 10)) this.spend(String(value).length - 1)
    return value
  }

  private encodeBigint(value: bigint): JsonValue {
    // The time to print or read one grows faster than its length.
    if (value >= BIGINT_LIMIT || value <= -BIGINT_LIMIT)
      throw this.refused(`is a bigint of more than ${BIGINT_DIGITS} digits`)
    const digits = value.toString()
    this.spend(digits.length)
    return this.tagged('bigint', digits)
  }

  private encodeObject(value: object): JsonValue {
    if (this.around.includes(value)) throw this.refused('contains itself')
    if (this.depth > DEEPEST) throw this.refused(`is nested in more than ${DEEPEST} others`)
    this.spend(1)
    this.around.push(value)
    const json = isPlain(value) ? this.encodePlainObject(value) : this.encodeByKind(value)
    this.around.pop()
    return json
  }

  private encodeByKind(value: object): JsonValue {
    // By kind, never by instanceof: Jest and vm run code in a realm with classes of its own.
    if (Array.isArray(value)) return this.encodeArray(value)
    if (kinds.isDate(value) && isOwnKind(value)) {
      if (Number.isNaN(value.getTime())) throw this.refused('is an invalid Date')
      const time = value.toISOString()
      this.spend(time.length)
      return this.tagged('Date', time)
    }
    if (kinds.isMap(value) && isOwnKind(value)) return this.tagged('Map', this.encodeEach(value.size, value, 'entry'))
    if (kinds.isSet(value) && isOwnKind(value)) return this.tagged('Set', this.encodeEach(value.size, value, 'item'))
    if (Buffer.isBuffer(value)) {
      this.spend((value.length / 3) * 4)
      return this.tagged('Buffer', value.toString('base64'))
    }
    const reference = this.referenceTo(value)
    if (!reference) return this.encodePlainObject(value)
    const { entity, key } = reference
    this.spend(entity.length + JSON.stringify(key).length)
    return this.tagged('entity', { entity, key })
  }

  private encodeArray(value: unknown[]): JsonValue {
    if (!Array.isArray(Object.getPrototypeOf(value))) throw this.refused('is an instance of a subclass of Array')
    this.checkRoomFor(value.length)
    // Indices come first among the names.
    const isMore = (name: string | undefined) => name !== undefined && !/^\d+$/.test(name)
    if (isMore(Object.keys(value).at(-1)) || hasSymbols(value))
      throw this.refused('is an array with properties of its own')
    return this.encodeEach(value.length, value, 'index')
  }

  private encodeEach(size: number, values: Iterable<unknown>, place: Place): JsonValue[] {
    this.checkRoomFor(size)
    const encoded: JsonValue[] = []
    for (const value of values) encoded.push(this.encodeIn(encoded.length, place, value))
    return encoded
  }

  private encodePlainObject(value: object): JsonValue {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && !isPlainPrototype(prototype)) {
      throw this.refused(`is an instance of ${value.constructor?.name || 'a class'}`)
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') throw this.refused('has a toJSON method')
    if (hasSymbols(value)) throw this.refused('has a symbol among its keys')
    const encoded: { [name: string]: JsonValue } = {}
    for (const name of Object.keys(value)) {
      this.spend(name.length + 4)
      const json = this.encodeIn(name, 'property', (value as Record<string, unknown>)[name])
      if (name === '__proto__') defineOwn(encoded, name, json)
      else encoded[name] = json
    }
    return encoded
  }

  private encodeIn(name: string | number, place: Place, value: unknown): JsonValue {
    this.names[this.depth] = name
    this.places[this.depth] = place
    this.depth++
    this.pointers[this.depth] = undefined
    const json = this.encode(value)
    this.depth--
    return json
  }

  private tagged(type: string, json: JsonValue): JsonValue {
    const pointer = this.pointer()
    this.spend(pointer.length + type.length + 6)
    this.isPlain = false
    this.types[pointer] = type
    return json
  }

  /** Each has two bytes at least. A sparse array is long without being large. */
  private checkRoomFor(items: number): void {
    if (items * 2 > this.left) throw this.tooLarge()
  }

  private spend(bytes: number): void {
    this.left -= bytes
    if (this.left < 0) throw this.tooLarge()
  }

  private tooLarge(): PayloadTooLargeError {
    return PayloadTooLargeError.at(this.path(), LARGEST_PAYLOAD)
  }

  private refused(problem: string): InvalidArgumentError {
    return new InvalidArgumentError(this.path(), problem)
  }

  private pointer(level = this.depth): string {
    const known = this.pointers[level]
    if (known !== undefined) return known
    const name = this.names[level - 1] as string | number
    const pointer = `${this.pointer(level - 1)}/${typeof name === 'number' ? name : escapePointer(name)}`
    return (this.pointers[level] = pointer)
  }

  private path(): string {
    let path = 'args'
    for (let level = 0; level < this.depth; level++) path += step(this.places[level] as Place, this.names[level])
    return path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path
  }
}

function step(place: Place, name: string | number | undefined): string {
  switch (place) {
    case 'index':
      return `[${name}]`
    case 'property':
      return propertyStep(String(name))
    default:
      return `.${place}(${name})`
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
  const pointers = Object.keys(types).map((pointer) => ({ pointer, depth: depth(pointer) }))
  for (const { pointer } of pointers.sort((a, b) => b.depth - a.depth)) {
    const { holder, name } = locate(args, pointer)
    const type = types[pointer] as string
    const value = type === 'entity' ? entities.get(pointer) : revive(type, holder[name], pointer)
    defineOwn(holder, name, value)
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
      if (typeof json === 'string' && json.length <= BIGINT_DIGITS + 1 && /^-?\d+$/.test(json)) return BigInt(json)
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

function propertyStep(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}

/** A property of its own also where the name means something else: `__proto__`. */
function defineOwn(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
}

/** Of this realm: what nearly all objects are. */
function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype
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

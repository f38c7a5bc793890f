import { types as kinds } from 'node:util'
import { InvalidArgumentError, PayloadTooLargeError } from '../../errors'
import type { JsonValue } from '../json'
import { LARGEST_PAYLOAD } from '../largest-payload'
import { MAX_BIGINT_DIGITS } from './bigint-limit'
import { defineOwn } from './define-own'
import { hasSymbols, isOwnKind, isPlain, isPlainPrototype } from './object-kinds'
import { Position, type Place } from './position'
import type { StoredReference } from './stored-reference'

const BIGINT_LIMIT = 10n ** BigInt(MAX_BIGINT_DIGITS)
/** The most values inside one another. The call stack ends at a few thousand. */
const MAX_DEPTH = 1_000

export interface EncodedArguments {
  readonly args: JsonValue[]
  /** Absent when `args` are plain JSON. */
  readonly types?: Record<string, string>
}

/** Returns how an entity is stored, or undefined for any other object. @throws when the entity has no key */
export type Referrer = (value: object) => StoredReference | undefined

/**
 * Makes a deep copy of `args` as JSON. The types that JSON lacks are described beside it, by JSON pointer. A value that
 * would come back changed is refused, and encoding ends as soon as the result is too large for a job.
 *
 * @throws InvalidArgumentError or PayloadTooLargeError, with the path of the bad value
 */
export function encodeArguments(args: readonly unknown[], referenceTo: Referrer): EncodedArguments {
  if (args.length === 0) return { args: [] }
  const encoder = new Encoder(referenceTo)
  const encoded = encoder.encodeAll(args)
  return encoder.isPlain ? { args: encoded } : { args: encoded, types: encoder.types }
}

class Encoder {
  readonly types: Record<string, string> = {}
  isPlain = true
  /** How many bytes the encoded text may still grow by. */
  private left = LARGEST_PAYLOAD
  /** The objects around the value that is being encoded: a list, because they are few, and every object comes and goes. */
  private readonly around: object[] = []
  private readonly position = new Position()

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
    if (value >= BIGINT_LIMIT || value <= -BIGINT_LIMIT)
      throw this.refused(`is a bigint of more than ${MAX_BIGINT_DIGITS} digits`)
    const digits = value.toString()
    this.spend(digits.length)
    return this.tagged('bigint', digits)
  }

  private encodeObject(value: object): JsonValue {
    if (this.around.includes(value)) throw this.refused('contains itself')
    if (this.position.depth > MAX_DEPTH) throw this.refused(`is nested in more than ${MAX_DEPTH} others`)
    this.spend(1)
    this.around.push(value)
    const json = isPlain(value) ? this.encodePlainObject(value) : this.encodeByKind(value)
    this.around.pop()
    return json
  }

  private encodeByKind(value: object): JsonValue {
    // By kind and never by instanceof, because Jest and vm run code in a realm with classes of its own.
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
    this.position.enter(name, place)
    const json = this.encode(value)
    this.position.leave()
    return json
  }

  private tagged(type: string, json: JsonValue): JsonValue {
    const pointer = this.position.pointer()
    this.spend(pointer.length + type.length + 6)
    this.isPlain = false
    this.types[pointer] = type
    return json
  }

  /** Each item has at least two bytes. A sparse array may be long without being large in memory. */
  private checkRoomFor(items: number): void {
    if (items * 2 > this.left) throw this.tooLarge()
  }

  private spend(bytes: number): void {
    this.left -= bytes
    if (this.left < 0) throw this.tooLarge()
  }

  private tooLarge(): PayloadTooLargeError {
    return PayloadTooLargeError.at(this.position.path(), LARGEST_PAYLOAD)
  }

  private refused(problem: string): InvalidArgumentError {
    return new InvalidArgumentError(this.position.path(), problem)
  }
}

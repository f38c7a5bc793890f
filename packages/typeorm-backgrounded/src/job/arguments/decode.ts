import { MalformedJobError } from '../../errors'
import type { JsonValue } from '../json'
import { MAX_BIGINT_DIGITS } from './bigint-limit'
import { defineOwn } from './define-own'
import { depthOf, locate } from './json-pointer'
import { readReference, type StoredReference } from './stored-reference'

/** The entities among the arguments, by pointer. @throws MalformedJobError */
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
  // The deepest values come first, because a Map is made of what its entries have become.
  const pointers = Object.keys(types).map((pointer) => ({ pointer, depth: depthOf(pointer) }))
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
      if (typeof json === 'string' && json.length <= MAX_BIGINT_DIGITS + 1 && /^-?\d+$/.test(json)) return BigInt(json)
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

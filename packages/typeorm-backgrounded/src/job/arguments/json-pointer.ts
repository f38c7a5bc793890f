import { MalformedJobError } from '../../errors'
import type { JsonValue } from '../json'

/**
 * Follows a JSON pointer (RFC 6901) into the arguments of a job, such as `/0/rows/2`, to the object or array that holds the
 * value, and the name of the value in it.
 *
 * @throws MalformedJobError
 */
export function locate(args: JsonValue[], pointer: string): { holder: Record<string, unknown>; name: string } {
  const names = pointer.split('/').slice(1).map(unescapeName)
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

export function depthOf(pointer: string): number {
  return pointer.split('/').length
}

export function escapeName(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function unescapeName(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}

import { inspect, types } from 'node:util'
import { withoutSecrets } from './without-secrets'

/** What may be shown of a thrown value. Every text is cut to a limit, and passwords are removed. */
export interface SafeError {
  /** Absent if the thrown value was not an error. */
  readonly name?: string
  readonly message: string
  readonly code?: string | number
  /** The lines of the stack below the message; `''` if there are none. */
  readonly frames: string
  readonly cause?: SafeError
  /** The errors of an AggregateError. */
  readonly errors?: readonly SafeError[]
}

const LONGEST_NAME = 100
const LONGEST_TEXT = 10_000
/** In characters, below the message. A stack is searched for its frames only so far. */
const LONGEST_STACK = 100_000
/** Not `\s`, which also takes line breaks, so that each of many blank lines would be read to the last one. */
const FIRST_FRAME = /^[ \t]*at /m
const DEEPEST_CAUSE = 3
const MOST_ERRORS = 5
const MOST_PROPERTIES = 20

/**
 * Reads an error without trusting it, because getters may throw, a proxy may be revoked, a text may have 10 MB, and
 * drivers add fields with passwords and values. Never throws.
 */
export function safeError(thrown: unknown, depth = 0): SafeError {
  if (!isErrorLike(thrown)) return { message: shown(valueText(thrown)), frames: '' }
  const errors = depth < DEEPEST_CAUSE ? errorsOf(thrown).map((each) => safeError(each, DEEPEST_CAUSE)) : []
  const given = textOf(read(thrown, 'message'))
  const message = given || errors.map((each) => each.message).join(', ')
  const code = codeOf(thrown)
  const cause = depth < DEEPEST_CAUSE ? read(thrown, 'cause') : undefined
  return {
    name: capped(textOf(read(thrown, 'name')) || 'Error', LONGEST_NAME),
    message: shown(message),
    ...(code !== undefined && { code }),
    frames: framesOf(read(thrown, 'stack'), given),
    ...(cause !== undefined && { cause: safeError(cause, depth + 1) }),
    ...(errors.length > 0 && { errors }),
  }
}

/** The name and the message in one text, for a reason that is stored or logged. Never throws. */
export function errorLine(thrown: unknown): string {
  const { name, message } = safeError(thrown, DEEPEST_CAUSE)
  return [name, message].filter(Boolean).join(': ')
}

/** The message alone, to put into another sentence. Never throws. */
export function errorMessage(thrown: unknown): string {
  const { name, message } = safeError(thrown, DEEPEST_CAUSE)
  return message || (name ?? '')
}

/** Cuts the text only after removing passwords, because half a password might not be recognised. */
function shown(text: string): string {
  return capped(withoutSecrets(capped(text, 2 * LONGEST_TEXT)), LONGEST_TEXT)
}

export function capped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}

/** Also true for errors of other realms, such as Jest's, and for objects with a message that libraries throw. */
function isErrorLike(thrown: unknown): thrown is object {
  if (typeof thrown !== 'object' || thrown === null) return false
  try {
    return types.isNativeError(thrown) || thrown instanceof Error || typeof read(thrown, 'message') === 'string'
  } catch {
    return false // a revoked proxy
  }
}

function read(object: object, property: string): unknown {
  try {
    return (object as Record<string, unknown>)[property]
  } catch {
    return undefined
  }
}

/** A name or a message, which may be any value, as a text. */
function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : valueText(value)
}

/** Any value as a text: a text as it is, any other value in a short form. Never throws. */
export function valueText(value: unknown): string {
  try {
    switch (typeof value) {
      case 'string':
        return value
      case 'bigint': // To print ten million digits takes seconds.
        return BigInt.asIntN(1024, value) === value ? String(value) : 'a bigint of more than 1,024 bits'
      case 'object':
        return value === null ? 'null' : objectText(value)
      case 'function':
        return `[function ${capped(String(value.name), LONGEST_NAME)}]`
      default:
        return String(value)
    }
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Shows own properties only, and calls neither getters nor functions that customise `inspect`. */
function objectText(value: object): string {
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? 'an invalid date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  const shown: unknown = Array.isArray(value)
    ? value.slice(0, MOST_PROPERTIES)
    : Object.fromEntries(
        Object.keys(value)
          .slice(0, MOST_PROPERTIES)
          .map((name) => [name, Object.getOwnPropertyDescriptor(value, name)?.value]),
      )
  return inspect(shown, {
    customInspect: false,
    depth: 2,
    maxArrayLength: MOST_PROPERTIES,
    maxStringLength: 1_000,
    breakLength: Infinity,
  })
}

function codeOf(error: object): string | number | undefined {
  const code = read(error, 'code')
  if (typeof code === 'number') return code
  return typeof code === 'string' && code !== '' ? capped(code, LONGEST_NAME) : undefined
}

function errorsOf(error: object): unknown[] {
  try {
    const errors = read(error, 'errors')
    return Array.isArray(errors) ? errors.slice(0, MOST_ERRORS) : []
  } catch {
    return []
  }
}

/** The part of the stack below the message, which it repeats. */
function framesOf(stack: unknown, message: string): string {
  if (typeof stack !== 'string') return ''
  const at = message === '' ? -1 : stack.indexOf(message)
  const start = at < 0 ? 0 : at + message.length
  const below = stack.slice(start, start + LONGEST_STACK)
  const first = below.search(FIRST_FRAME)
  if (first >= 0) return linesOf(below.slice(first))
  return at < 0 ? '' : linesOf(below)
}

/** Leaves lines with places in files alone, because paths like pnpm's look like an address with a password. */
function linesOf(frames: string): string {
  const lines = capped(frames, LONGEST_TEXT)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
  return lines.map((line) => (/^\s*at /.test(line) ? line : withoutSecrets(line))).join('\n')
}

import { oneLine } from './one-line'
import { capped, safeError, type SafeError } from './safe-error'

const LONGEST_MESSAGE_IN_STACK = 1_000

/**
 * A copy of a thrown value that any logger can print, with nothing but names, messages, codes, stacks and causes. Never
 * throws.
 */
export function loggableError(thrown: unknown): Error {
  return copyOf(safeError(thrown))
}

function copyOf({ name = 'Error', message, code, frames, cause, errors }: SafeError): Error {
  const copy = new Error(oneLine(message), cause && { cause: copyOf(cause) })
  const hidden = (value: unknown) => ({ value, writable: true, configurable: true, enumerable: false })
  Object.defineProperties(copy, {
    name: hidden(oneLine(name)),
    stack: hidden(
      [titled(oneLine(name), copy.message), ...frames.split('\n').filter(Boolean).map(indented)].join('\n'),
    ),
    // pino and other loggers show the name of the class.
    constructor: hidden(Object.defineProperty(function () {}, 'name', { value: oneLine(name) })),
    ...(errors && { errors: hidden(errors.map(copyOf)) }),
  })
  return code === undefined ? copy : Object.assign(copy, { code: typeof code === 'string' ? oneLine(code) : code })
}

function titled(name: string, message: string): string {
  return message === '' ? name : `${name}: ${capped(message, LONGEST_MESSAGE_IN_STACK)}`
}

/** Indents a line of a stack, so that it cannot be taken for a line of the log. */
function indented(line: string): string {
  return `    ${oneLine(line.trim())}`
}

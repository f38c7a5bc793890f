import ms from 'ms'
import { InvalidOptionError } from '../errors'

/** Milliseconds, or a text as `'5m'`, `'2 hours'`, `'1d'`. */
export type Duration = number | ms.StringValue

/**
 * @returns ms
 * @throws InvalidOptionError for anything but a finite number ≥ 0 or such a text
 */
export function milliseconds(duration: unknown, option: string): number {
  const value = typeof duration === 'string' && duration !== '' ? ms(duration as ms.StringValue) : duration
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw new InvalidOptionError(
    `${option} is ${describe(duration)}: give milliseconds from 0 on, or a text like '30s', '5m', '1d'.`,
  )
}

function describe(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

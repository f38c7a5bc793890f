import ms from 'ms'
import { InvalidOptionError } from '../errors'
import { capped, valueText } from '../reporting/safe-error'
import { attempt } from '../reporting/text-of'

/** Milliseconds, or a text as `'5m'`, `'2 hours'`, `'1d'`. */
export type Duration = number | ms.StringValue

const LONGEST = 100 * 365 * 24 * 60 * 60 * 1000

/**
 * @returns ms
 * @throws InvalidOptionError for anything but a number from 0 to 100 years or such a text
 */
export function milliseconds(duration: unknown, option: string): number {
  const value = typeof duration === 'string' && duration !== '' ? parsed(duration) : duration
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= LONGEST) return value
  throw new InvalidOptionError(
    `${option} is ${describe(duration)}: give milliseconds from 0 on, or a text like '30s', '5m', '1d', up to 100 years.`,
  )
}

/** `ms` throws at a long text. */
function parsed(duration: string): unknown {
  return attempt(() => ms(duration as ms.StringValue), undefined)
}

function describe(value: unknown): string {
  return capped(typeof value === 'string' ? `'${value}'` : valueText(value), 200)
}

import ms from 'ms'
import { InvalidOptionError } from '../errors'
import { capped, valueText } from '../reporting/safe-error'
import { attempt } from '../reporting/text-of'

/** Milliseconds, or a text such as `'5m'`, `'2 hours'` or `'1d'`. */
export type Duration = number | ms.StringValue

const LONGEST = 100 * 365 * 24 * 60 * 60 * 1000

/**
 * @returns whole ms, rounded up, because columns and handlers hold no fractions
 * @throws InvalidOptionError unless it is a number of ms or such a text, between 0 and 100 years
 */
export function milliseconds(duration: unknown, option: string): number {
  const value = typeof duration === 'string' && duration !== '' ? parsed(duration) : duration
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= LONGEST) return Math.ceil(value)
  throw new InvalidOptionError(
    `${option} is ${describe(duration)}: give 0 or more milliseconds, or a text like '30s', '5m' or '1d', up to 100 years.`,
  )
}

/** `ms` throws when the text is long. */
function parsed(duration: string): unknown {
  return attempt(() => ms(duration as ms.StringValue), undefined)
}

function describe(value: unknown): string {
  return capped(typeof value === 'string' ? `'${value}'` : valueText(value), 200)
}

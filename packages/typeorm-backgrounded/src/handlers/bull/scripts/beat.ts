import { CONTACT } from './contact'
import { script } from './script'

/**
 * ARGV: the worker, its lease, and the longest gap between two beats, in ms. Returns false when it was dead or unknown.
 */
export const beat = script(
  'Beat',
  `
${CONTACT}
mustBeWritable()
local worker, lease, gap = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local total = touch(gap)
local wasAlive = lives(worker, total)
live(worker, total, lease)
return wasAlive and 1 or 0`,
  (reply) => reply === 1,
  { mustWrite: true },
)

/** ARGV: the worker, which has no jobs in flight any more. */
export const leave = script('Leave', `rcall('DEL', base .. 'worker:' .. ARGV[2])`, () => {})

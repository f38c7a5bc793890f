import { script } from './script'

const strings = (reply: unknown) => reply as string[]
const count = (reply: unknown) => Number(reply)

/** The names of the queues that ever had a job. */
export const listQueues = script('ListQueues', `return rcall('SMEMBERS', base .. 'queues')`, strings)

/** ARGV: a queue. The ids of its discarded jobs. */
export const discardedIds = script(
  'DiscardedIds',
  `
local q = base .. ARGV[2] .. ':'
local ids = {}
for _, id in ipairs(rcall('SMEMBERS', q .. 'discarded')) do
  -- Other tools move jobs out of Bull's own sets, and know nothing of this one.
  if rcall('ZSCORE', q .. 'failed', id) then ids[#ids + 1] = id else rcall('SREM', q .. 'discarded', id) end
end
return ids`,
  strings,
)

/** ARGV: a queue. The ids of its waiting jobs that are put aside. */
export const suspectIds = script('SuspectIds', `return rcall('LRANGE', base .. ARGV[2] .. ':suspects', 0, -1)`, strings)

const EACH_JOB = `
local queues = rcall('SMEMBERS', base .. 'queues')
local number = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  for _, queue in ipairs(queues) do
    local q = base .. queue .. ':'
    if rcall('EXISTS', q .. id) == 1 then number = number + change(q, id) end
  end
end
return number`

/** ARGV: ids. Makes failed and discarded jobs due again, with all their attempts. Returns how many there were. */
export const retryKept = script(
  'RetryKept',
  `
local function change(q, id)
  if rcall('ZREM', q .. 'failed', id) == 0 then return 0 end
  rcall('SREM', q .. 'discarded', id)
  rcall('HDEL', q .. id, 'finishedOn', 'processedOn', 'failedReason', 'stacktrace', 'discarded', 'suspect', 'releasedSince')
  rcall('HSET', q .. id, 'attemptsMade', 0, 'retriedOn', integer(now))
  wait(q, id, 'LPUSH')
  return 1
end
${EACH_JOB}`,
  count,
)

/** ARGV: ids. Removes jobs that are not running. Returns how many there were. */
export const dropJobs = script(
  'DropJobs',
  `
local function change(q, id)
  local lease = rcall('HGET', q .. id, 'lease')
  if (lease and lease ~= '') or rcall('EXISTS', q .. id .. ':lock') == 1 then return 0 end
  for _, list in ipairs({ 'wait', 'paused', 'suspects' }) do rcall('LREM', q .. list, 0, id) end
  for _, set in ipairs({ 'delayed', 'completed', 'failed', 'priority' }) do rcall('ZREM', q .. set, id) end
  rcall('SREM', q .. 'discarded', id)
  forget(q, id)
  return 1
end
${EACH_JOB}`,
  count,
)

/**
 * ARGV: a queue, until when in ms, and 'completed', 'failed' or 'discarded'. Removes up to 1,000 jobs that ended
 * before. Returns how many there were.
 */
export const pruneKept = script(
  'PruneKept',
  `
local q, before, state = base .. ARGV[2] .. ':', ARGV[3], ARGV[4]
local set = state == 'completed' and 'completed' or 'failed'
local number = 0
for _, id in ipairs(rcall('ZRANGEBYSCORE', q .. set, '-inf', '(' .. before)) do
  local isDiscarded = rcall('SISMEMBER', q .. 'discarded', id) == 1
  if set == 'completed' or isDiscarded == (state == 'discarded') then
    rcall('ZREM', q .. set, id)
    rcall('SREM', q .. 'discarded', id)
    forget(q, id)
    number = number + 1
    if number == 1000 then break end
  end
end
return number`,
  count,
)

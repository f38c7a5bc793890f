import { script } from './script'

const strings = (reply: unknown) => reply as string[]
const count = (reply: unknown) => Number(reply)

/** The names of the queues that have jobs. */
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

/** How many ids there are in the lists and sets of a queue. */
export interface QueueCounts {
  readonly waiting: number
  readonly running: number
  readonly completed: number
  /** The discarded ones among them. */
  readonly failed: number
}

/** ARGV: a queue. */
export const countJobs = script(
  'CountJobs',
  `
local q = base .. ARGV[2] .. ':'
local function length(command, ...)
  local sum = 0
  for _, name in ipairs({ ... }) do
    local number = redis.pcall(command, q .. name)
    if type(number) == 'number' then sum = sum + number end
  end
  return sum
end
return {
  length('LLEN', 'wait', 'paused', 'suspects', 'lone-suspects') + length('ZCARD', 'delayed'),
  length('LLEN', 'active'),
  length('ZCARD', 'completed'),
  length('ZCARD', 'failed'),
}`,
  (reply): QueueCounts => {
    const [waiting = 0, running = 0, completed = 0, failed = 0] = reply as number[]
    return { waiting, running, completed, failed }
  },
)

/** A job as it is stored: unchecked, since anybody may have written it. */
export interface StoredRecord {
  readonly id: string
  readonly data: string
  readonly opts?: string
  readonly timestamp?: string
  readonly delay?: string
  readonly attemptsMade?: string
  readonly stacktrace?: string
  readonly failedReason?: string
}

/** ARGV: a queue, one of its lists or sets, and a range of it from its newest end. The jobs there, or nil for what is none. */
export const listJobs = script(
  'ListJobs',
  `
local q, list = base .. ARGV[2] .. ':', ARGV[3]
local first, last = tonumber(ARGV[4]), tonumber(ARGV[5])
local kind = kindOf(q .. list)
local ids = {}
if kind == 'list' then ids = rcall('LRANGE', q .. list, first, last) end
if kind == 'zset' then ids = rcall('ZREVRANGE', q .. list, first, last) end
local jobs = {}
for i, id in ipairs(ids) do
  local fields = redis.pcall('HMGET', q .. id, 'data', 'opts', 'timestamp', 'delay', 'attemptsMade', 'stacktrace', 'failedReason')
  jobs[i] = fields.err and false or { id, unpack(fields, 1, 7) }
end
return jobs`,
  (reply): (StoredRecord | undefined)[] =>
    (reply as ((string | null)[] | null)[]).map((fields) => {
      if (!fields || fields.slice(1).every((field) => field === null)) return undefined
      const [id, data, opts, timestamp, delay, attemptsMade, stacktrace, failedReason] = fields.map(
        (field) => field ?? undefined,
      )
      return { id: id as string, data: data ?? '', opts, timestamp, delay, attemptsMade, stacktrace, failedReason }
    }),
)

/** ARGV: a queue, and 'paused' or 'resumed'. As Bull does it, but what waits at both ends is kept. */
export const setPaused = script(
  'SetPaused',
  `
local q, isPaused = base .. ARGV[2] .. ':', ARGV[3] == 'paused'
mustBe('list', q, 'wait', 'paused')
local from, to = q .. (isPaused and 'wait' or 'paused'), q .. (isPaused and 'paused' or 'wait')
if rcall('EXISTS', to) == 0 then
  if rcall('EXISTS', from) == 1 then rcall('RENAME', from, to) end
else
  while rcall('RPOPLPUSH', from, to) do end
end
if isPaused then
  rcall('SADD', base .. 'queues', ARGV[2])
  rcall('SET', q .. 'meta-paused', 1)
else
  rcall('DEL', q .. 'meta-paused')
end
publish(q .. ARGV[3], ARGV[3])`,
  () => {},
)

const EACH_JOB = `
local queues = rcall('SMEMBERS', base .. 'queues')
local number = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  for _, queue in ipairs(queues) do
    local q = base .. queue .. ':'
    if kindOf(q .. id) == 'hash' then number = number + change(q, id) end
  end
end
return number`

/** ARGV: ids. Makes failed and discarded jobs due again, with all their attempts. Returns how many there were. */
export const retryKept = script(
  'RetryKept',
  `
local function change(q, id)
  mustBe('list', q, 'wait', 'paused')
  if rcall('ZREM', q .. 'failed', id) == 0 then return 0 end
  redis.pcall('SREM', q .. 'discarded', id)
  rcall('HDEL', q .. id, 'finishedOn', 'processedOn', 'failedReason', 'stacktrace', 'discarded', 'suspect', 'alone', 'deaths', 'died', 'releasedSince')
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
  for _, list in ipairs({ 'wait', 'paused', 'suspects', 'lone-suspects' }) do redis.pcall('LREM', q .. list, 0, id) end
  for _, set in ipairs({ 'delayed', 'completed', 'failed', 'priority' }) do redis.pcall('ZREM', q .. set, id) end
  redis.pcall('SREM', q .. 'discarded', id)
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
mustBe('set', q, 'discarded')
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

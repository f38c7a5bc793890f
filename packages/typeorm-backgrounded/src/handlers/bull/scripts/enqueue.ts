import { script } from './script'

/** A job as it is sent to be stored. */
export interface NewJob {
  readonly queue: string
  readonly id: string
  /** What bull-board calls it. */
  readonly name: string
  /** JSON */
  readonly data: string
  /** ms from Redis's own now. */
  readonly delay?: number
  /** ms since the epoch. */
  readonly runAt?: number
}

/** ARGV of `enqueue`. `forget`: ids that were remembered, and need not be any more. */
export function enqueueArguments(jobs: readonly NewJob[], forget: readonly string[]): (string | number)[] {
  const request: (string | number)[] = [forget.length, ...forget]
  for (const { queue, id, name, data, delay, runAt } of jobs)
    request.push(queue, id, name, data, delay ?? '', runAt ?? '')
  return request
}

/**
 * What became of a job: it is stored; it was here already; its id is remembered, since it was stored and whoever
 * sent it may not have heard of that; or why it is not stored.
 */
export type Stored = 'new' | 'known' | 'remembered' | Error

const STORED = ['known', 'new', 'remembered'] as const

/**
 * Stores jobs, each or not at all, and remembers their ids until they are forgotten: who sends a job again, since the
 * answer was lost, is told that it is here, even when it has run and is gone.
 */
export const enqueue = script(
  'Enqueue',
  `
local firstJob = 3 + ARGV[2]
if firstJob > 3 then rcall('ZREM', base .. 'pushed', unpack(ARGV, 3, firstJob - 1)) end

local listed = {}
local accepted = {}

-- 1: stored; 0: it is here; 2: its id is remembered. What may fail, since a key is of another type, comes first: a script
-- that fails halfway has done its first half.
local function accept(queue, id, name, data, wait_for, run_at)
  if rcall('ZADD', base .. 'pushed', 'NX', now, id) == 0 then return accepted[id] and 0 or 2 end
  accepted[id] = true
  local q = base .. queue .. ':'
  if rcall('EXISTS', q .. id) == 1 then
    if rcall('TYPE', q .. id).ok ~= 'hash' then error({ err = 'WRONGTYPE ' .. q .. id .. ' is no job' }) end
    publish(q .. 'duplicated@backgrounded', id)
    rcall('ZREM', base .. 'pushed', id)
    return 0
  end
  if not listed[queue] then
    rcall('SADD', base .. 'queues', queue)
    listed[queue] = true
  end
  local due = now
  if wait_for ~= '' then due = now + tonumber(wait_for) end
  if run_at ~= '' then due = tonumber(run_at) end
  if due > now then delay(q, id, due, rcall('INCR', q .. 'id')) else wait(q, id, 'LPUSH') end
  rcall('HSET', q .. id, 'name', name, 'data', data, 'timestamp', integer(now), 'delay', integer(math.max(0, due - now)))
  return 1
end

local results = {}
for i = firstJob, #ARGV, 6 do
  local queue, id = ARGV[i], ARGV[i + 1]
  local isFine, result = pcall(accept, queue, id, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  if not isFine then
    redis.pcall('ZREM', base .. 'pushed', id)
    result = 'queue ' .. queue .. ': ' .. (type(result) == 'table' and result.err or tostring(result))
  end
  results[#results + 1] = result
end
return results`,
  (reply): Stored[] =>
    (reply as (number | string)[]).map((result) =>
      typeof result === 'string' ? new Error(result) : (STORED[result] as Stored),
    ),
)

/** ARGV: ids. The outbox has no row of them any more. Those it forgot to forget go after a week. */
export const forgetPushes = script(
  'ForgetPushes',
  `
for i = 2, #ARGV do rcall('ZREM', base .. 'pushed', ARGV[i]) end
rcall('ZREMRANGEBYSCORE', base .. 'pushed', '-inf', integer(now - 7 * 24 * 3600 * 1000))`,
  () => {},
)

/** ARGV: the name of a queue. */
export const registerQueue = script('RegisterQueue', `rcall('SADD', base .. 'queues', ARGV[2])`, () => {})

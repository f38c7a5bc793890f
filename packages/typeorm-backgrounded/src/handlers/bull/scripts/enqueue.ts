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
local listed = {}
local accepted = {}
local forgotten = {}
for i = 3, firstJob - 1 do forgotten[ARGV[i]] = true end

-- 1: stored; 0: it is here; 2: its id is remembered. What may fail, since a key is of another type, comes first.
local function accept(queue, id, name, data, wait_for, run_at)
  if rcall('ZADD', base .. 'pushed', 'NX', now, id) == 0 and not forgotten[id] then return accepted[id] and 0 or 2 end
  accepted[id] = true
  forgotten[id] = nil
  local q = base .. queue .. ':'
  if rcall('EXISTS', q .. id) == 1 then
    if kindOf(q .. id) ~= 'hash' then error({ err = 'WRONGTYPE ' .. q .. id .. ' is no job' }) end
    publish(q .. 'duplicated@backgrounded', id)
    rcall('ZREM', base .. 'pushed', id)
    return 0
  end
  if not listed[queue] then
    rcall('SADD', base .. 'queues', queue)
    listed[queue] = true
  end
  local due = now
  if wait_for ~= '' then due = now + whole(wait_for, 0) end
  if run_at ~= '' then due = whole(run_at, now) end
  if due > now then delay(q, id, due) else wait(q, id, 'LPUSH') end
  rcall('HSET', q .. id, 'name', name, 'data', data, 'timestamp', integer(now), 'delay', integer(math.max(0, due - now)))
  return 1
end

local results = {}
for i = firstJob, #ARGV, 6 do
  local queue, id = ARGV[i], ARGV[i + 1]
  local isFine, result = pcall(accept, queue, id, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  if not isFine then
    local message = messageOf(result)
    -- Not this job's fault: a replica takes nothing at all.
    if string.find(message, 'READONLY', 1, true) then return redis.error_reply(message) end
    redis.pcall('ZREM', base .. 'pushed', id)
    result = 'queue ' .. queue .. ': ' .. message
  end
  results[#results + 1] = result
end

-- Not before the jobs: after a first write, a Redis that is full would take them too.
for id in pairs(forgotten) do redis.pcall('ZREM', base .. 'pushed', id) end
return results`,
  (reply): Stored[] =>
    (reply as (number | string)[]).map((result) =>
      typeof result === 'string' ? new Error(result) : (STORED[result] as Stored),
    ),
  { mustWrite: true },
)

/** ARGV: ids. The outbox has no row of them any more. Those it forgot to forget go after a week. */
export const forgetPushes = script(
  'ForgetPushes',
  `
for i = 2, #ARGV do rcall('ZREM', base .. 'pushed', ARGV[i]) end
rcall('ZREMRANGEBYSCORE', base .. 'pushed', '-inf', integer(now - 7 * 24 * 3600 * 1000))`,
  () => {},
)

/** ARGV: the name of a queue that Bull itself may add jobs to from now on, without telling anybody. */
export const registerQueue = script(
  'RegisterQueue',
  `
rcall('SADD', base .. 'queues', ARGV[2])
-- What Bull counts with: where it is, the queue is not forgotten as soon as it is empty.
rcall('SETNX', base .. ARGV[2] .. ':id', 0)`,
  () => {},
)

/**
 * ARGV: names of queues that somebody has published something about, which anybody may. Those with jobs are made known.
 * Returns whether one of them was not.
 */
export const discoverQueues = script(
  'DiscoverQueues',
  `
local number = 0
for i = 2, #ARGV do
  local q = base .. ARGV[i] .. ':'
  if rcall('EXISTS', q .. 'wait', q .. 'paused', q .. 'delayed') > 0 then
    number = number + rcall('SADD', base .. 'queues', ARGV[i])
  end
end
return number`,
  (reply) => Number(reply) > 0,
)

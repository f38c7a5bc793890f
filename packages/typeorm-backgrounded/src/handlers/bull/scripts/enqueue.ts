import { script } from './script'

/** A job as the script gets it. */
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

/** ARGV of `enqueue`. `forget`: remembered ids that need not be remembered any more. */
export function enqueueArguments(jobs: readonly NewJob[], forget: readonly string[]): (string | number)[] {
  const request: (string | number)[] = [forget.length, ...forget]
  for (const { queue, id, name, data, delay, runAt } of jobs)
    request.push(queue, id, name, data, delay ?? '', runAt ?? '')
  return request
}

/**
 * What became of a job: it is stored; it was there already; its id is remembered, because it was stored before and the
 * sender may not have got the answer; or the error that kept it from being stored.
 */
export type Stored = 'new' | 'known' | 'remembered' | Error

const STORED = ['known', 'new', 'remembered'] as const

/**
 * Stores jobs, and remembers their ids until they are forgotten. A sender that has got no answer and sends a job again
 * learns that it was stored, even when it has run and is gone.
 */
export const enqueue = script(
  'Enqueue',
  `
local firstJob = 3 + ARGV[2]
local listed = {}
local accepted = {}
local forgotten = {}
for i = 3, firstJob - 1 do forgotten[ARGV[i]] = true end

-- 1: stored; 0: it was there; 2: its id is remembered. What may fail because a key has another type comes first.
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
    -- Not caused by this job: a replica accepts no writes.
    if string.find(message, 'READONLY', 1, true) then return redis.error_reply(message) end
    redis.pcall('ZREM', base .. 'pushed', id)
    result = 'queue ' .. queue .. ': ' .. message
  end
  results[#results + 1] = result
end

-- After the jobs, because a Redis that is full accepts every write of a script once one was accepted.
for id in pairs(forgotten) do redis.pcall('ZREM', base .. 'pushed', id) end
return results`,
  (reply): Stored[] =>
    (reply as (number | string)[]).map((result) =>
      typeof result === 'string' ? new Error(result) : (STORED[result] as Stored),
    ),
  { mustWrite: true },
)

/** ARGV: ids whose jobs have no row in the outbox any more. Ids that are not forgotten this way go after a week. */
export const forgetPushes = script(
  'ForgetPushes',
  `
for i = 2, #ARGV do rcall('ZREM', base .. 'pushed', ARGV[i]) end
rcall('ZREMRANGEBYSCORE', base .. 'pushed', '-inf', integer(now - 7 * 24 * 3600 * 1000))`,
  () => {},
)

/** ARGV: the name of a queue that Bull itself may add jobs to from now on, without registering it. */
export const registerQueue = script(
  'RegisterQueue',
  `
rcall('SADD', base .. 'queues', ARGV[2])
-- Bull numbers jobs with this key. While it exists, an empty queue stays registered.
rcall('SETNX', base .. ARGV[2] .. ':id', 0)`,
  () => {},
)

/**
 * ARGV: names of queues in published messages, which anyone may send. Registers those with jobs.
 * Returns whether one of them was not registered yet.
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

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

/**
 * ARGV of `enqueue`: whether to remember the ids as pushed, a name for this very call, how long the call may take
 * in ms, and the jobs.
 */
export function enqueueRequest(
  jobs: readonly NewJob[],
  remember: boolean,
  call: string,
  timeout: number,
): (string | number)[] {
  const request: (string | number)[] = [remember ? 1 : 0, call, Math.ceil(timeout)]
  for (const { queue, id, name, data, delay, runAt } of jobs)
    request.push(queue, id, name, data, delay ?? '', runAt ?? '')
  return request
}

/** Stores jobs, all or none. True for each that was new. */
export const enqueue = script(
  'Enqueue',
  `
local isPush = ARGV[2] == '1'

local function check(key, type)
  local actual = rcall('TYPE', key).ok
  if actual ~= 'none' and actual ~= type then return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. actual .. ' instead of a ' .. type) end
end

-- A script that fails halfway has done its first half: everything is looked at before anything is written.
local known = {}
local wrong = check(base .. 'queues', 'set') or check(base .. 'pushed', 'zset')
for i = 5, #ARGV, 6 do
  local q = base .. ARGV[i] .. ':'
  if not known[q] then
    known[q] = true
    wrong = wrong or check(q .. 'wait', 'list') or check(q .. 'paused', 'list') or check(q .. 'delayed', 'zset') or check(q .. 'id', 'string')
  end
  wrong = wrong or check(q .. ARGV[i + 1], 'hash')
end
if wrong then return wrong end

-- The connection broke, and the call is sent again: it was done, and its jobs may be gone already.
local isRepeated = not rcall('SET', base .. 'call:' .. ARGV[3], 1, 'NX', 'PX', ARGV[4] * 2)

local results = {}
for i = 5, #ARGV, 6 do
  local queue, id, data = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local q = base .. queue .. ':'
  local isDuplicate = rcall('EXISTS', q .. id) == 1
  if isPush and rcall('ZADD', base .. 'pushed', 'NX', now, id) == 0 then isDuplicate = true end
  if isRepeated then
    results[#results + 1] = 1
  elseif isDuplicate then
    publish(q .. 'duplicated@backgrounded', id)
    results[#results + 1] = 0
  else
    if known[q] ~= 'listed' then
      known[q] = 'listed'
      rcall('SADD', base .. 'queues', queue)
    end
    local counter = rcall('INCR', q .. 'id')
    local due = now
    if ARGV[i + 4] ~= '' then due = now + tonumber(ARGV[i + 4]) end
    if ARGV[i + 5] ~= '' then due = tonumber(ARGV[i + 5]) end
    local time = integer(now)
    rcall('HSET', q .. id, 'name', ARGV[i + 2], 'data', data, 'timestamp', time, 'delay', integer(math.max(0, due - now)))
    if due > now then delay(q, id, due, counter) else wait(q, id, 'LPUSH') end
    results[#results + 1] = 1
  end
end
return results`,
  (reply) => (reply as number[]).map((isNew) => isNew === 1),
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

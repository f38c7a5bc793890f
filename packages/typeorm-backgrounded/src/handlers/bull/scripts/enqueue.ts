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

export interface EnqueueRequest {
  readonly jobs: readonly NewJob[]
  /** Keep the ids as pushed, until they are forgotten. */
  readonly remember: boolean
  /** Pushed ids to forget on the way. */
  readonly forget: readonly string[]
  /** A name for this very call. */
  readonly call: string
  /** How long the call may take, in ms. */
  readonly timeout: number
}

/** ARGV of `enqueue`. */
export function enqueueArguments({ jobs, remember, forget, call, timeout }: EnqueueRequest): (string | number)[] {
  const request: (string | number)[] = [remember ? 1 : 0, call, Math.ceil(timeout), forget.length, ...forget]
  for (const { queue, id, name, data, delay, runAt } of jobs)
    request.push(queue, id, name, data, delay ?? '', runAt ?? '')
  return request
}

/** What became of a job: whether it was new, or why it is not stored. */
export type Stored = boolean | Error

/** Stores jobs, each or not at all. */
export const enqueue = script(
  'Enqueue',
  `
local isPush = ARGV[2] == '1'

-- Where the connection broke, a call is sent again: it was done, and its jobs may have run and be gone.
local call = base .. 'call:' .. ARGV[3]
local answer = rcall('GET', call)
if answer then return cjson.decode(answer) end

local firstJob = 6 + ARGV[5]
for i = 6, firstJob - 1 do rcall('ZREM', base .. 'pushed', ARGV[i]) end

local listed = {}

-- What may fail, since a key is of another type, comes first: a script that fails halfway has done its first half.
local function store(queue, id, name, data, wait_for, run_at)
  local q = base .. queue .. ':'
  if not listed[queue] then
    rcall('SADD', base .. 'queues', queue)
    listed[queue] = true
  end
  local counter = rcall('INCR', q .. 'id')
  local due = now
  if wait_for ~= '' then due = now + tonumber(wait_for) end
  if run_at ~= '' then due = tonumber(run_at) end
  if due > now then delay(q, id, due, counter) else wait(q, id, 'LPUSH') end
  rcall('HSET', q .. id, 'name', name, 'data', data, 'timestamp', integer(now), 'delay', integer(math.max(0, due - now)))
end

local function isKnown(queue, id)
  local key = base .. queue .. ':' .. id
  if rcall('EXISTS', key) == 0 then return false end
  if rcall('TYPE', key).ok ~= 'hash' then error({ err = 'WRONGTYPE ' .. key .. ' is no job' }) end
  publish(base .. queue .. ':duplicated@backgrounded', id)
  return true
end

local function accept(queue, id, ...)
  local isDuplicate = isKnown(queue, id)
  if isPush and rcall('ZADD', base .. 'pushed', 'NX', now, id) == 0 then isDuplicate = true end
  if isDuplicate then return 0 end
  local isFine, problem = pcall(store, queue, id, ...)
  if isFine then return 1 end
  if isPush then rcall('ZREM', base .. 'pushed', id) end
  error(problem)
end

local results = {}
for i = firstJob, #ARGV, 6 do
  local isFine, result = pcall(accept, unpack(ARGV, i, i + 5))
  if not isFine then result = 'queue ' .. ARGV[i] .. ': ' .. (type(result) == 'table' and result.err or tostring(result)) end
  results[#results + 1] = result
end
redis.pcall('SET', call, cjson.encode(results), 'PX', ARGV[4] * 2)
return results`,
  (reply): Stored[] =>
    (reply as (number | string)[]).map((result) => (typeof result === 'string' ? new Error(result) : result === 1)),
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

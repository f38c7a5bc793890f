import { GIVE, readClaimed } from './claimed'
import { script } from './script'

/** ARGV: the worker, and how long it lives without another beat, in ms. False: it was dead already. */
export const beat = script(
  'Beat',
  `
local key = base .. 'worker:' .. ARGV[2]
local wasAlive = rcall('EXISTS', key)
rcall('SET', key, 1, 'PX', ARGV[3])
return wasAlive`,
  (reply) => reply === 1,
)

/** ARGV: the worker. It holds nothing any more. */
export const leave = script('Leave', `rcall('DEL', base .. 'worker:' .. ARGV[2])`, () => {})

export interface TendRequest {
  readonly queues?: readonly string[]
  /** Begins the tokens of jobs that are taken over; never used again. */
  readonly token: string
  /** Whether to take over the jobs of dead workers. */
  readonly reaps: boolean
  /** ms, and how many of each queue. */
  readonly keep: { readonly completedAge: number; readonly failedAge: number; readonly failedCount: number }
}

/** Takes over the jobs of dead workers, which it returns, and drops kept jobs beyond their bounds. */
export const tend = script(
  'Tend',
  `
${GIVE}
local request = cjson.decode(ARGV[2])
local alive = {}
local taken = {}

local function isAlive(worker)
  if alive[worker] == nil then alive[worker] = rcall('EXISTS', base .. 'worker:' .. worker) == 1 end
  return alive[worker]
end

local function isDead(q, id)
  local lease = rcall('HGET', q .. id, 'lease')
  if lease and lease ~= '' then return not isAlive(string.match(lease, '^[^/]+')) end
  -- In the hands of a consumer of Bull's own, which locks a job a moment after it has taken it: looked at again.
  if rcall('EXISTS', q .. id .. ':lock') == 1 then return false end
  return rcall('HSETNX', q .. id, 'lease', '') == 0
end

local function reap(queue, q)
  for _, id in ipairs(rcall('LRANGE', q .. 'active', 0, -1)) do
    if rcall('EXISTS', q .. id) == 0 then
      rcall('LREM', q .. 'active', 1, id)
    elseif #taken < 100 and isDead(q, id) then
      taken[#taken + 1] = give(queue, q, id, request.token .. '/' .. #taken)
    end
  end
end

local function drop(q, set, ids)
  for _, id in ipairs(ids) do
    forget(q, id)
    rcall('ZREM', q .. set, id)
    rcall('SREM', q .. 'discarded', id)
  end
end

local function olderThan(q, set, age)
  drop(q, set, rcall('ZRANGEBYSCORE', q .. set, '-inf', integer(now - age), 'LIMIT', 0, 1000))
end

for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do
  local q = base .. queue .. ':'
  if request.reaps then reap(queue, q) end
  olderThan(q, 'completed', request.keep.completedAge)
  olderThan(q, 'failed', request.keep.failedAge)
  local excess = rcall('ZCARD', q .. 'failed') - request.keep.failedCount
  if excess > 0 then drop(q, 'failed', rcall('ZRANGE', q .. 'failed', 0, math.min(excess, 1000) - 1)) end
end

return taken`,
  readClaimed,
)

export interface ListHeldRequest {
  readonly queues?: readonly string[]
  /** Begins every lease token of this worker. */
  readonly worker: string
}

/** The jobs that are leased to this worker. */
export const listHeld = script(
  'ListHeld',
  `
local request = cjson.decode(ARGV[2])
local mine = {}
for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do
  local q = base .. queue .. ':'
  for _, id in ipairs(rcall('LRANGE', q .. 'active', 0, -1)) do
    local fields = rcall('HMGET', q .. id, 'lease', 'attemptsMade', 'data', 'opts', 'timestamp', 'releasedSince', 'suspect')
    local token = fields[1]
    if token and string.sub(token, 1, #request.worker) == request.worker then
      mine[#mine + 1] = { queue, id, token, unpack(fields, 2, 7) }
    end
  end
end
return mine`,
  readClaimed,
)

/** ARGV: queue, id, token, JSON. Stores how far a job has come. */
export const progress = script(
  'Progress',
  `
local q, id = base .. ARGV[2] .. ':', ARGV[3]
if rcall('HGET', q .. id, 'lease') ~= ARGV[4] then return end
rcall('HSET', q .. id, 'progress', ARGV[5])
rcall('PUBLISH', q .. 'progress', '{"jobId":' .. cjson.encode(id) .. ',"progress":' .. ARGV[5] .. '}')`,
  () => {},
)

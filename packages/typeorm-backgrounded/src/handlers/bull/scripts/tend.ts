import { GIVE, readClaimed } from './claimed'
import { script } from './script'

/** ARGV: the worker, and how long it lives without another beat, in ms. False: it was dead already. */
export const beat = script(
  'Beat',
  `
local key = base .. 'worker:' .. ARGV[2]
-- Renewed in a way that a Redis that is full allows.
if rcall('PEXPIRE', key, ARGV[3]) == 1 then return 1 end
rcall('SET', key, integer(now), 'PX', ARGV[3])
return 0`,
  (reply) => reply === 1,
)

/** ARGV: the worker. It holds nothing any more. */
export const leave = script('Leave', `rcall('DEL', base .. 'worker:' .. ARGV[2])`, () => {})

export interface TendRequest {
  readonly queues?: readonly string[]
  readonly worker: string
  /** Begins the tokens of jobs that are taken over; never used again. */
  readonly token: string
  /** ms */
  readonly lease: number
  /** ms, and how many of each queue. */
  readonly keep: { readonly completedAge: number; readonly failedAge: number; readonly failedCount: number }
}

/** Takes over the jobs of dead workers, which it returns, and drops kept jobs beyond their bounds. */
export const tend = script(
  'Tend',
  `
${GIVE}
local request = cjson.decode(ARGV[2])
local alive = { [request.worker] = true }
local taken = {}

-- Only a worker that has lived for a lease without a gap may take another for dead: after an outage the others may
-- just not have had the time to say that they live.
local since = rcall('GET', base .. 'worker:' .. request.worker)
local reaps = since and now - tonumber(since) >= request.lease

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
    if rcall('TYPE', q .. id).ok ~= 'hash' then
      rcall('LREM', q .. 'active', 1, id)
    elseif #taken < 100 and isDead(q, id) then
      rcall('HSET', q .. id, 'died', 1)
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

local function tendQueue(queue)
  local q = base .. queue .. ':'
  if reaps then reap(queue, q) end
  if request.keep.completedAge > 0 then olderThan(q, 'completed', request.keep.completedAge) end
  olderThan(q, 'failed', request.keep.failedAge)
  local excess = rcall('ZCARD', q .. 'failed') - request.keep.failedCount
  if excess > 0 then drop(q, 'failed', rcall('ZRANGE', q .. 'failed', 0, math.min(excess, 1000) - 1)) end
end

-- One broken queue does not stop the others; the exchanges report it.
for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do pcall(tendQueue, queue) end

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
${GIVE}
local request = cjson.decode(ARGV[2])
local mine = {}
local function list(queue)
  local q = base .. queue .. ':'
  for _, id in ipairs(rcall('LRANGE', q .. 'active', 0, -1)) do
    local token = rcall('HGET', q .. id, 'lease')
    if token and string.sub(token, 1, #request.worker) == request.worker then mine[#mine + 1] = show(queue, q, id, token) end
  end
end
for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do pcall(list, queue) end
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
publish(q .. 'progress', '{"jobId":' .. cjson.encode(id) .. ',"progress":' .. ARGV[5] .. '}')`,
  () => {},
)

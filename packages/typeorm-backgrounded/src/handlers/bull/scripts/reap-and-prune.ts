import { GIVE, readClaimed } from './claimed'
import { CONTACT } from './contact'
import { script } from './script'

export interface ReapRequest {
  readonly queues?: readonly string[]
  readonly worker: string
  /** Begins the tokens of jobs that are taken over; never used again. */
  readonly token: string
  /** Of this worker, in ms. */
  readonly lease: number
  /** The longest time between two beats, in ms. */
  readonly gap: number
  /** ms, and how many of each queue. */
  readonly keep: { readonly completedAge: number; readonly failedAge: number; readonly failedCount: number }
}

/**
 * Takes over the jobs of dead workers and returns them, removes kept jobs that are too old or too many, and forgets empty
 * queues.
 */
export const reapAndPrune = script(
  'ReapAndPrune',
  `
${GIVE}
${CONTACT}
mustBeWritable()
local request = cjson.decode(ARGV[2])
local taken = {}

local total = touch(request.gap)
local reaps = lives(request.worker, total)
local alive = { [request.worker] = true }

local function isAlive(worker)
  if alive[worker] == nil then
    local isLiving = lives(worker, total)
    -- The worker has left, or Redis has forgotten it: from now on it has one lease to show that it is alive.
    if isLiving == nil then
      live(worker, total, request.lease)
      isLiving = true
    end
    alive[worker] = isLiving
  end
  return alive[worker]
end

local function isDead(q, id)
  local lease = rcall('HGET', q .. id, 'lease')
  -- No worker of ours has written a token like that.
  if lease and (#lease > 500 or string.find(lease, '/', 1, true) == 1) then return true end
  if lease and lease ~= '' then return not isAlive(string.match(lease, '^[^/]+')) end
  -- A consumer of Bull's own locks a job a moment after it has taken it, so this job is checked again next time.
  if rcall('EXISTS', q .. id .. ':lock') == 1 then return false end
  return rcall('HSETNX', q .. id, 'lease', '') == 0
end

local function reap(queue, q)
  for _, id in ipairs(rcall('LRANGE', q .. 'active', 0, -1)) do
    if kindOf(q .. id) ~= 'hash' then
      rcall('LREM', q .. 'active', 1, id)
    elseif #taken < 100 and isDead(q, id) then
      rcall('HSET', q .. id, 'died', 1)
      taken[#taken + 1] = give(queue, q, id, request.token .. '/' .. #taken)
    end
  end
end

local function drop(q, set, ids)
  for _, id in ipairs(ids) do
    rcall('ZREM', q .. set, id)
    redis.pcall('SREM', q .. 'discarded', id)
    forget(q, id)
  end
end

local function olderThan(q, set, age)
  drop(q, set, rcall('ZRANGEBYSCORE', q .. set, '-inf', integer(now - age), 'LIMIT', 0, 1000))
end

local function isEmpty(q)
  local keys = {}
  for _, name in ipairs({ 'wait', 'paused', 'active', 'delayed', 'suspects', 'lone-suspects', 'completed', 'failed', 'meta-paused' }) do
    keys[#keys + 1] = q .. name
  end
  if rcall('EXISTS', unpack(keys)) > 0 then return false end
  -- Bull itself adds jobs to this queue without registering it, so it is forgotten only after a week without new jobs.
  if rcall('EXISTS', q .. 'id') == 0 then return true end
  local idle = redis.pcall('OBJECT', 'IDLETIME', q .. 'id')
  return type(idle) == 'number' and idle > 7 * 24 * 3600
end

local function reapAndPruneQueue(queue)
  local q = base .. queue .. ':'
  if isEmpty(q) then return rcall('SREM', base .. 'queues', queue) end
  if reaps then reap(queue, q) end
  if request.keep.completedAge > 0 then olderThan(q, 'completed', request.keep.completedAge) end
  olderThan(q, 'failed', request.keep.failedAge)
  local excess = rcall('ZCARD', q .. 'failed') - request.keep.failedCount
  if excess > 0 then drop(q, 'failed', rcall('ZRANGE', q .. 'failed', 0, math.min(excess, 1000) - 1)) end
end

-- One broken queue does not stop the others. Claims report it.
for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do pcall(reapAndPruneQueue, queue) end

return taken`,
  readClaimed,
  { mustWrite: true },
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
    local token = redis.pcall('HGET', q .. id, 'lease')
    if type(token) == 'string' and string.sub(token, 1, #request.worker) == request.worker then
      mine[#mine + 1] = show(queue, q, id, token)
    end
  end
end
for _, queue in ipairs(request.queues or rcall('SMEMBERS', base .. 'queues')) do pcall(list, queue) end
return mine`,
  readClaimed,
)

/** ARGV: queue, id, token and JSON of each job. Stores the progress of jobs whose lease this worker still has. */
export const progress = script(
  'Progress',
  `
for i = 2, #ARGV, 4 do
  local q, id, value = base .. ARGV[i] .. ':', ARGV[i + 1], ARGV[i + 3]
  if redis.pcall('HGET', q .. id, 'lease') == ARGV[i + 2] then
    rcall('HSET', q .. id, 'progress', value)
    publish(q .. 'progress', '{"jobId":' .. cjson.encode(id) .. ',"progress":' .. value .. '}')
  end
end`,
  () => {},
)

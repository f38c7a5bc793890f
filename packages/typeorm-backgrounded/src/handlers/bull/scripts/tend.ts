import { GIVE, readClaimed, type ClaimedRecord } from './claimed'
import { script } from './script'

export interface TendRequest {
  /** The jobs that this worker runs. */
  readonly held: readonly { readonly queue: string; readonly id: string; readonly token: string }[]
  /** ms */
  readonly lease: number
  readonly queues?: readonly string[]
  /** Begins every lease token of this worker. */
  readonly worker: string
  /** Begins the tokens of jobs that are taken over now; never used again. */
  readonly token: string
  /** Whether to take over the jobs of dead workers. */
  readonly reaps: boolean
  /** ms, and how many of each queue. */
  readonly keep: { readonly completedAge: number; readonly failedAge: number; readonly failedCount: number }
}

export interface TendReply {
  /** One for each held job: whether it is still this worker's. */
  readonly isHeld: readonly boolean[]
  /** Jobs of dead workers, now this one's. */
  readonly taken: readonly ClaimedRecord[]
}

/** Renews the leases of this worker, takes over the jobs of dead ones, and drops kept jobs beyond their bounds. */
export const tend = script(
  'Tend',
  `
${GIVE}
local request = cjson.decode(ARGV[2])

local isHeld = {}
for i, each in ipairs(request.held) do
  local q = base .. each.queue .. ':'
  local isMine = rcall('HGET', q .. each.id, 'lease') == each.token
  if isMine then rcall('SET', q .. each.id .. ':lock', each.token, 'PX', request.lease) end
  isHeld[i] = isMine and 1 or 0
end

local taken = {}

local function reap(queue, q)
  for _, id in ipairs(rcall('LRANGE', q .. 'active', 0, -1)) do
    if rcall('EXISTS', q .. id .. ':lock') == 0 and #taken < 100 then
      if rcall('EXISTS', q .. id) == 0 then
        rcall('LREM', q .. 'active', 1, id)
      elseif rcall('HSETNX', q .. id, 'lease', '') == 0 then
        taken[#taken + 1] = give(queue, q, id, request.token .. '/' .. #taken, request.lease)
      end
      -- A job without a lease is in the hands of a raw consumer, which locks it a moment after taking it: looked at again.
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

return { isHeld, taken }`,
  (reply): TendReply => {
    const [isHeld, taken] = reply as [number[], unknown]
    return { isHeld: isHeld.map((code) => code === 1), taken: readClaimed(taken) }
  },
)

export interface AdoptRequest {
  readonly queues?: readonly string[]
  /** Begins every lease token of this worker. */
  readonly worker: string
}

/** The jobs that are leased to this worker: among them those whose claim it never heard of. */
export const adopt = script(
  'Adopt',
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

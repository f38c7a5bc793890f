import { GIVE, readClaimed, type ClaimedRecord } from './claimed'
import { script } from './script'

/** What became of a job, for the script. Absent fields do not apply. */
export interface Settlement {
  readonly queue: string
  readonly id: string
  readonly token: string
  readonly state: 'completed' | 'retried' | 'failed' | 'discarded' | 'released'
  /** ms from now. */
  readonly delay?: number
  readonly reason?: string
  /** JSON array of texts, as Bull shows them. */
  readonly stacktrace?: string
  /** ms since the epoch. */
  readonly since?: number
  /** The next run is one after a death. */
  readonly suspect?: boolean
  /** It was sent before. */
  readonly repeated?: boolean
}

export interface ExchangeRequest {
  readonly finished: readonly Settlement[]
  readonly slots: number
  /** In order of preference; absent: all, in turn. */
  readonly queues?: readonly string[]
  /** A number that grows by one with each exchange. */
  readonly turn: number
  readonly worker: string
  /** Begins the lease tokens of this exchange; never used again. */
  readonly token: string
  /** How long this worker lives without a beat, in ms. */
  readonly lease: number
  /** Whether a job may be taken whose worker died before. */
  readonly takesSuspect: boolean
  /** Keep completed jobs. */
  readonly keepsCompleted: boolean
}

export interface ExchangeReply {
  /** One for each finished job: whether it was this worker's to settle. */
  readonly settled: readonly boolean[]
  readonly claimed: readonly ClaimedRecord[]
  /** When the next delayed job is due, in ms from now. */
  readonly nextDue?: number
  /** Nothing told that this worker lives: others may have taken what it held. */
  readonly wasDead: boolean
}

/** Settles what has finished and claims up to `slots` due jobs, queue by queue. */
export const exchange = script(
  'Exchange',
  `
${GIVE}
local request = cjson.decode(ARGV[2])
local wasDead = rcall('SET', base .. 'worker:' .. request.worker, 1, 'NX', 'PX', request.lease) and 1 or 0

-- Who holds the lease may settle the job, however late; a settlement that arrives again changes nothing.
local function mayNotSettle(q, each)
  local fields = rcall('HMGET', q .. each.id, 'lease', 'settled')
  if fields[1] == each.token then return nil end
  if fields[2] == each.token then return 1 end
  return each.repeated and rcall('EXISTS', q .. each.id) == 0 and 1 or 0
end

local function keep(q, each, set, ...)
  rcall('ZADD', q .. set, now, each.id)
  rcall('HSET', q .. each.id, 'finishedOn', integer(now), ...)
end

local settle = {}

function settle.completed(q, each)
  if request.keepsCompleted then
    keep(q, each, 'completed', 'returnvalue', 'null')
  else
    forget(q, each.id)
  end
  rcall('PUBLISH', q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
end

function settle.failed(q, each)
  keep(q, each, 'failed', 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  rcall('PUBLISH', q .. 'failed', cjson.encode({ jobId = each.id, failedReason = each.reason, val = each.reason }))
end

function settle.discarded(q, each)
  rcall('SADD', q .. 'discarded', each.id)
  keep(q, each, 'failed', 'failedReason', each.reason, 'stacktrace', '[]', 'discarded', 1)
end

local function again(q, each, push)
  rcall('HSET', q .. each.id, 'delay', integer(each.delay))
  if each.delay > 0 then
    delay(q, each.id, now + each.delay, rcall('INCR', q .. 'id'))
  else
    wait(q, each.id, push)
  end
end

function settle.retried(q, each)
  rcall('HSET', q .. each.id, 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  rcall('HDEL', q .. each.id, 'releasedSince')
  if each.suspect then rcall('HSET', q .. each.id, 'suspect', 1) else rcall('HDEL', q .. each.id, 'suspect') end
  again(q, each, 'LPUSH')
end

function settle.released(q, each)
  rcall('HINCRBY', q .. each.id, 'attemptsMade', -1)
  rcall('HSET', q .. each.id, 'failedReason', each.reason)
  if each.since then
    rcall('HSET', q .. each.id, 'releasedSince', integer(each.since))
  else
    rcall('HDEL', q .. each.id, 'releasedSince')
  end
  again(q, each, 'RPUSH')
end

local settled = {}
for i, each in ipairs(request.finished) do
  local q = base .. each.queue .. ':'
  settled[i] = mayNotSettle(q, each)
  if settled[i] == nil then
    settled[i] = 1
    rcall('LREM', q .. 'active', 1, each.id)
    rcall('DEL', q .. each.id .. ':lock')
    rcall('HSET', q .. each.id, 'settled', each.token)
    rcall('HDEL', q .. each.id, 'lease')
    settle[each.state](q, each)
  end
end

local claimed = {}
local nextDue = nil

local function promote(q)
  local due = rcall('ZRANGEBYSCORE', q .. 'delayed', '-inf', '(' .. integer((now + 1) * 4096), 'LIMIT', 0, 1000)
  for _, id in ipairs(due) do
    rcall('ZREM', q .. 'delayed', id)
    rcall('HSET', q .. id, 'delay', 0)
    wait(q, id, 'LPUSH')
  end
  local first = rcall('ZRANGE', q .. 'delayed', 0, 0, 'WITHSCORES')[2]
  if first then nextDue = math.min(nextDue or math.huge, math.floor(tonumber(first) / 4096) - now) end
end

local function claim(queue, q)
  local held = {}
  while #claimed < request.slots do
    local id = rcall('RPOPLPUSH', q .. 'wait', q .. 'active')
    if not id then break end
    local isSuspect = rcall('HGET', q .. id, 'suspect') == '1'
    if rcall('EXISTS', q .. id) == 0 then
      rcall('LREM', q .. 'active', 1, id)
    elseif isSuspect and not request.takesSuspect then
      rcall('LREM', q .. 'active', 1, id)
      held[#held + 1] = id
    else
      if isSuspect then request.takesSuspect = false end
      rcall('ZREM', q .. 'priority', id)
      if rcall('HDEL', q .. id, 'discarded') == 1 then rcall('SREM', q .. 'discarded', id) end
      rcall('HSET', q .. id, 'processedOn', integer(now))
      rcall('HINCRBY', q .. id, 'attemptsMade', 1)
      rcall('PUBLISH', q .. 'active', id)
      claimed[#claimed + 1] = give(queue, q, id, request.token .. '/' .. #claimed)
    end
  end
  for i = #held, 1, -1 do rcall('RPUSH', q .. 'wait', held[i]) end
end

if request.slots > 0 then
  local queues = request.queues or rcall('SMEMBERS', base .. 'queues')
  for i = 1, #queues do
    -- In turn, where nothing says which comes first.
    local queue = queues[request.queues and i or (i + request.turn) % #queues + 1]
    local q = base .. queue .. ':'
    promote(q)
    claim(queue, q)
    if #claimed >= request.slots then break end
  end
end

return { settled, claimed, nextDue and integer(math.max(0, nextDue)) or false, wasDead }`,
  (reply): ExchangeReply => {
    const [settled, claimed, nextDue, wasDead] = reply as [number[], unknown, string | null, number]
    return {
      settled: settled.map((code) => code === 1),
      claimed: readClaimed(claimed),
      nextDue: nextDue === null ? undefined : Number(nextDue),
      wasDead: wasDead === 1,
    }
  },
)

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
  /** What kept a queue from being claimed from, as a key of another type or a Redis that is full. */
  readonly problems: readonly { readonly queue: string; readonly message: string }[]
}

/** Settles what has finished and claims up to `slots` due jobs, queue by queue. */
export const exchange = script(
  'Exchange',
  `
${GIVE}
local request = cjson.decode(ARGV[2])
local worker = base .. 'worker:' .. request.worker

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

-- Whatever somebody else has written there.
local function count(q, id, change)
  if type(redis.pcall('HINCRBY', q .. id, 'attemptsMade', change)) == 'table' then
    rcall('HSET', q .. id, 'attemptsMade', math.max(0, change))
  end
end

local settle = {}

function settle.completed(q, each)
  keep(q, each, 'completed', 'returnvalue', 'null')
  publish(q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
end

function settle.failed(q, each)
  keep(q, each, 'failed', 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  publish(q .. 'failed', cjson.encode({ jobId = each.id, failedReason = each.reason, val = each.reason }))
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
  count(q, each.id, -1)
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
    if each.state == 'completed' and not request.keepsCompleted then
      -- Nothing here takes memory: it must work in a Redis that is full.
      forget(q, each.id)
      publish(q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
    else
      rcall('DEL', q .. each.id .. ':lock')
      rcall('HSET', q .. each.id, 'settled', each.token)
      rcall('HDEL', q .. each.id, 'lease', 'died')
      settle[each.state](q, each)
    end
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

local function take(queue, q, id, isSuspect)
  if isSuspect then request.takesSuspect = false end
  rcall('ZREM', q .. 'priority', id)
  if rcall('HDEL', q .. id, 'discarded') == 1 then rcall('SREM', q .. 'discarded', id) end
  rcall('HSET', q .. id, 'processedOn', integer(now))
  count(q, id, 1)
  publish(q .. 'active', id)
  claimed[#claimed + 1] = give(queue, q, id, request.token .. '/' .. #claimed)
end

local function claimFrom(queue, q, list)
  while #claimed < request.slots and (list == 'wait' or request.takesSuspect) do
    local id = rcall('RPOPLPUSH', q .. list, q .. 'active')
    if not id then return end
    local isSuspect = false
    if rcall('TYPE', q .. id).ok ~= 'hash' then
      rcall('LREM', q .. 'active', 1, id) -- removed meanwhile, or no job
    else
      isSuspect = rcall('HGET', q .. id, 'suspect') == '1'
      if isSuspect and not request.takesSuspect then
        rcall('LREM', q .. 'active', 1, id)
        rcall('LPUSH', q .. 'suspects', id)
      else
        take(queue, q, id, isSuspect)
      end
    end
  end
end

local problems = {}

local function claim(queue)
  local q = base .. queue .. ':'
  if rcall('EXISTS', q .. 'meta-paused') == 1 then return promote(q) end
  promote(q)
  claimFrom(queue, q, 'suspects')
  claimFrom(queue, q, 'wait')
end

local wasDead = 0
local function live()
  if rcall('EXISTS', worker) == 1 then return end
  rcall('SET', worker, integer(now), 'PX', request.lease)
  wasDead = 1
end

if request.slots > 0 then
  live()
  local queues = request.queues or rcall('SMEMBERS', base .. 'queues')
  for i = 1, #queues do
    -- In turn, where nothing says which comes first.
    local queue = queues[request.queues and i or (i + request.turn) % #queues + 1]
    -- One broken queue does not stop the others.
    local isFine, problem = pcall(claim, queue)
    if not isFine then
      problems[#problems + 1] = { queue, type(problem) == 'table' and (problem.err or 'unknown') or tostring(problem) }
    end
    if #claimed >= request.slots then break end
  end
end

return { settled, claimed, nextDue and integer(math.max(0, nextDue)) or false, wasDead, problems }`,
  (reply): ExchangeReply => {
    const [settled, claimed, nextDue, wasDead, problems] = reply as Reply
    return {
      settled: settled.map((code) => code === 1),
      claimed: readClaimed(claimed),
      nextDue: nextDue === null ? undefined : Number(nextDue),
      wasDead: wasDead === 1,
      problems: problems.map(([queue, message]) => ({ queue, message })),
    }
  },
)

type Reply = [number[], unknown, string | null, number, [string, string][]]

import { GIVE, readClaimed, type ClaimedRecord } from './claimed'
import { CONTACT } from './contact'
import { script } from './script'

/** What became of a job, for the script. Fields that do not apply are absent. */
export interface StoredOutcome {
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
  /** Its worker has died. */
  readonly died?: boolean
  /** It has only one attempt left. */
  readonly isLast?: boolean
}

export interface AcknowledgeAndClaimRequest {
  readonly finished: readonly StoredOutcome[]
  readonly slots: number
  /** In order of preference; absent: all, in turn. */
  readonly queues?: readonly string[]
  /** A number that grows by one with each request. */
  readonly turn: number
  readonly worker: string
  /** Begins the lease tokens of this request; never used again. */
  readonly token: string
  /** How many more suspects may be claimed. */
  readonly suspects: number
  /** Whether a suspect may be claimed that must run without any other suspect. */
  readonly loneSuspect: boolean
  /** Keep completed jobs. */
  readonly keepsCompleted: boolean
}

/**
 * `'gone'`: there is no such job, perhaps because the same request was sent before. `'leaseLost'`: another worker has
 * claimed the job since.
 */
export type Applied = 'applied' | 'leaseLost' | 'gone' | Error

export interface AcknowledgeAndClaimReply {
  /** One for each finished job. */
  readonly applied: readonly Applied[]
  readonly claimed: readonly ClaimedRecord[]
  /** When the next delayed job is due, in ms from now. */
  readonly nextDue?: number
  /** Whether this worker has a heartbeat. Without one, nothing is claimed, and others may have taken over its jobs. */
  readonly isAlive: boolean
  /** There were more ids in the lists than one script may check. */
  readonly isMore: boolean
  /** Errors that kept the script from claiming from a queue, such as a key of another type. */
  readonly problems: readonly { readonly queue: string; readonly message: string }[]
}

const RESULTS = ['leaseLost', 'applied', 'gone'] as const

/** Applies the outcomes of finished jobs and claims up to `slots` due jobs, queue by queue. */
export const acknowledgeAndClaim = script(
  'AcknowledgeAndClaim',
  `
${GIVE}
${CONTACT}
mustBeWritable()
local request = cjson.decode(ARGV[2])

local LEASE_LOST, APPLIED, GONE = 0, 1, 2

-- The holder of the lease may store an outcome, however late. An outcome that arrives twice changes nothing.
local function whyNotApply(q, each)
  local kind = kindOf(q .. each.id)
  if kind ~= 'hash' then
    redis.pcall('LREM', q .. 'active', 1, each.id)
    return kind == 'none' and GONE or LEASE_LOST
  end
  local fields = rcall('HMGET', q .. each.id, 'lease', 'settled')
  if fields[1] == each.token then return nil end
  return fields[2] == each.token and APPLIED or LEASE_LOST
end

local function keep(q, each, set, ...)
  rcall('ZADD', q .. set, now, each.id)
  rcall('HSET', q .. each.id, 'finishedOn', integer(now), ...)
end

-- Counts from 0 when the field does not hold a number.
local function count(q, id, field, change)
  local counted = redis.pcall('HINCRBY', q .. id, field, change)
  if type(counted) == 'table' or counted < 0 then
    counted = math.max(0, change)
    rcall('HSET', q .. id, field, counted)
  end
  return counted
end

local applyTo = {}

function applyTo.completed(q, each)
  keep(q, each, 'completed', 'returnvalue', 'null')
  publish(q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
end

function applyTo.failed(q, each)
  keep(q, each, 'failed', 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  publish(q .. 'failed', cjson.encode({ jobId = each.id, failedReason = each.reason, val = each.reason }))
end

function applyTo.discarded(q, each)
  rcall('SADD', q .. 'discarded', each.id)
  keep(q, each, 'failed', 'failedReason', each.reason, 'stacktrace', '[]', 'discarded', 1)
end

local function again(q, each, push)
  local pause = math.max(0, whole(each.delay, 0))
  rcall('HSET', q .. each.id, 'delay', integer(pause))
  if pause > 0 then delay(q, each.id, now + pause) else wait(q, each.id, push) end
end

local function setFlag(q, id, field, isSet)
  if isSet then rcall('HSET', q .. id, field, 1) else rcall('HDEL', q .. id, field) end
end

function applyTo.retried(q, each)
  rcall('HSET', q .. each.id, 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  rcall('HDEL', q .. each.id, 'releasedSince')
  setFlag(q, each.id, 'suspect', each.died)
  setFlag(q, each.id, 'alone', each.died and (count(q, each.id, 'deaths', 1) > 1 or each.isLast))
  again(q, each, 'LPUSH')
end

function applyTo.released(q, each)
  count(q, each.id, 'attemptsMade', -1)
  rcall('HSET', q .. each.id, 'failedReason', each.reason)
  -- The worker that can run the job decides later what the death of its last worker means.
  if each.died then rcall('HSET', q .. each.id, 'died', 1) end
  local since = whole(each.since)
  if since then
    rcall('HSET', q .. each.id, 'releasedSince', integer(since))
  else
    rcall('HDEL', q .. each.id, 'releasedSince')
  end
  again(q, each, 'RPUSH')
end

local isKept = { completed = request.keepsCompleted, failed = true, discarded = true }

-- Checks the types of all keys before anything is changed.
local function check(q, each)
  mustBe('list', q, 'active')
  if isKept[each.state] then
    mustBe('zset', q, 'completed', 'failed')
    mustBe('set', q, 'discarded')
  else
    mustBe('list', q, 'wait', 'paused')
    mustBe('zset', q, 'delayed')
  end
end

local function apply(q, each)
  local reason = whyNotApply(q, each)
  if reason then return reason end
  if each.state == 'completed' and not request.keepsCompleted then
    -- When this fails, nothing has changed yet. Nothing here needs memory, because it must work in a Redis that is full.
    rcall('LREM', q .. 'active', 1, each.id)
    forget(q, each.id)
    publish(q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
  else
    check(q, each)
    rcall('LREM', q .. 'active', 1, each.id)
    rcall('DEL', q .. each.id .. ':lock')
    rcall('HSET', q .. each.id, 'settled', each.token)
    rcall('HDEL', q .. each.id, 'lease', 'died')
    applyTo[each.state](q, each)
  end
  return APPLIED
end

local results = {}
for i, each in ipairs(request.finished) do
  -- An outcome that cannot be stored does not keep the others from being stored.
  local isFine, result = pcall(apply, base .. each.queue .. ':', each)
  results[i] = isFine and result or messageOf(result)
end

local claimed = {}
local nextDue = nil
-- How many ids may still be checked, because Redis does nothing else while a script runs.
local checksLeft = 1000
local isMore = 0

local function promote(q)
  local due = rcall('ZRANGEBYSCORE', q .. 'delayed', '-inf', '(' .. integer((now + 1) * 4096), 'LIMIT', 0, 1000)
  if #due > 0 then mustBe('list', q, 'wait', 'paused') end
  for _, id in ipairs(due) do
    rcall('ZREM', q .. 'delayed', id)
    if kindOf(q .. id) == 'hash' then
      rcall('HSET', q .. id, 'delay', 0)
      wait(q, id, 'LPUSH')
    end
  end
  local first = rcall('ZRANGE', q .. 'delayed', 0, 0, 'WITHSCORES')[2]
  local score = first and whole(first)
  if score then nextDue = math.min(nextDue or math.huge, math.floor(score / 4096) - now) end
end

local function take(queue, q, id)
  redis.pcall('ZREM', q .. 'priority', id)
  if rcall('HDEL', q .. id, 'discarded') == 1 then redis.pcall('SREM', q .. 'discarded', id) end
  rcall('HSET', q .. id, 'processedOn', integer(now))
  if count(q, id, 'attemptsMade', 1) < 1 then rcall('HSET', q .. id, 'attemptsMade', 1) end
  publish(q .. 'active', id)
  claimed[#claimed + 1] = give(queue, q, id, request.token .. '/' .. #claimed)
end

-- The name of the list in which a suspect must wait until others have ended, or nil when it may run.
local function mustWaitIn(q, id)
  local fields = rcall('HMGET', q .. id, 'suspect', 'alone')
  if fields[1] ~= '1' then return nil end
  if fields[2] == '1' then
    if not request.loneSuspect then return 'lone-suspects' end
    request.loneSuspect, request.suspects = false, 0
    return nil
  end
  -- A suspect that must run alone has its turn when the running ones have ended.
  if request.suspects < 1 or rcall('LLEN', q .. 'lone-suspects') > 0 then return 'suspects' end
  request.loneSuspect, request.suspects = false, request.suspects - 1
  return nil
end

local function claimFrom(queue, q, list, mayGoOn)
  while #claimed < request.slots and mayGoOn() do
    if checksLeft == 0 then
      isMore = 1
      return
    end
    checksLeft = checksLeft - 1
    local id = rcall('RPOPLPUSH', q .. list, q .. 'active')
    if not id then return end
    if kindOf(q .. id) ~= 'hash' then
      rcall('LREM', q .. 'active', 1, id) -- removed meanwhile, or not a job
    else
      local other = mustWaitIn(q, id)
      if other then
        rcall('LREM', q .. 'active', 1, id)
        rcall('LPUSH', q .. other, id)
      else
        take(queue, q, id)
      end
    end
  end
end

local problems = {}

local function trying(queue, work, ...)
  local isFine, problem = pcall(work, ...)
  if not isFine then problems[#problems + 1] = { queue, messageOf(problem) } end
end

local function claim(queue)
  local q = base .. queue .. ':'
  trying(queue, promote, q) -- where its delayed jobs are broken, those that wait run all the same
  if rcall('EXISTS', q .. 'meta-paused') == 1 then return end
  mustBe('list', q, 'active')
  -- These fail when a key has another type, before anything is claimed.
  local lone, together = rcall('LLEN', q .. 'lone-suspects'), rcall('LLEN', q .. 'suspects')
  if lone > 0 then claimFrom(queue, q, 'lone-suspects', function() return request.loneSuspect end) end
  if together > 0 then
    claimFrom(queue, q, 'suspects', function()
      return request.suspects > 0 and rcall('LLEN', q .. 'lone-suspects') == 0
    end)
  end
  claimFrom(queue, q, 'wait', function() return true end)
end

local _, total = contact()
local isAlive = lives(request.worker, total) and 1 or 0

if request.slots > 0 and isAlive == 1 then
  local queues = request.queues or rcall('SMEMBERS', base .. 'queues')
  for i = 1, #queues do
    -- All queues in turn, when the worker has no order of preference.
    local queue = queues[request.queues and i or (i + request.turn) % #queues + 1]
    -- One broken queue does not stop the others.
    trying(queue, claim, queue)
    if #claimed >= request.slots then break end
  end
end

return { results, claimed, nextDue and integer(math.max(0, nextDue)) or false, isAlive, isMore, problems }`,
  (reply): AcknowledgeAndClaimReply => {
    const [results, claimed, nextDue, isAlive, isMore, problems] = reply as Reply
    return {
      applied: results.map((code) => (typeof code === 'string' ? new Error(code) : (RESULTS[code] as Applied))),
      claimed: readClaimed(claimed),
      nextDue: nextDue === null ? undefined : Number(nextDue),
      isAlive: isAlive === 1,
      isMore: isMore === 1,
      problems: problems.map(([queue, message]) => ({ queue, message })),
    }
  },
  { mustWrite: true },
)

type Reply = [(number | string)[], unknown, string | null, number, number, [string, string][]]

import { GIVE, readClaimed, type ClaimedRecord } from './claimed'
import { CONTACT } from './contact'
import { script } from './script'

/** What became of a job, for the script. Absent fields do not apply. */
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

export interface ExchangeRequest {
  readonly finished: readonly StoredOutcome[]
  readonly slots: number
  /** In order of preference; absent: all, in turn. */
  readonly queues?: readonly string[]
  /** A number that grows by one with each exchange. */
  readonly turn: number
  readonly worker: string
  /** Begins the lease tokens of this exchange; never used again. */
  readonly token: string
  /** How many more jobs may be taken whose worker died. */
  readonly suspects: number
  /** Whether one of them may be taken that must run without another. */
  readonly loneSuspect: boolean
  /** Keep completed jobs. */
  readonly keepsCompleted: boolean
}

/** `'gone'`: there is no such job, as after a settlement that was sent before. `'lost'`: somebody else holds it, or did. */
export type Applied = 'settled' | 'lost' | 'gone' | Error

export interface AcknowledgeAndClaimReply {
  /** One for each finished job. */
  readonly applied: readonly Applied[]
  readonly claimed: readonly ClaimedRecord[]
  /** When the next delayed job is due, in ms from now. */
  readonly nextDue?: number
  /** Its heart beats. Where it does not, nothing is claimed, and others may have taken what this worker held. */
  readonly isAlive: boolean
  /** There were more ids in the lists than one script may look at. */
  readonly isMore: boolean
  /** What kept a queue from being claimed from, as a key of another type. */
  readonly problems: readonly { readonly queue: string; readonly message: string }[]
}

const SETTLED = ['lost', 'settled', 'gone'] as const

/** Settles what has finished and claims up to `slots` due jobs, queue by queue. */
export const acknowledgeAndClaim = script(
  'Exchange',
  `
${GIVE}
${CONTACT}
mustBeWritable()
local request = cjson.decode(ARGV[2])

local LOST, SETTLED, GONE = 0, 1, 2

-- Who holds the lease may settle the job, however late; a settlement that arrives again changes nothing.
local function mayNotSettle(q, each)
  local kind = kindOf(q .. each.id)
  if kind ~= 'hash' then
    redis.pcall('LREM', q .. 'active', 1, each.id)
    return kind == 'none' and GONE or LOST
  end
  local fields = rcall('HMGET', q .. each.id, 'lease', 'settled')
  if fields[1] == each.token then return nil end
  return fields[2] == each.token and SETTLED or LOST
end

local function keep(q, each, set, ...)
  rcall('ZADD', q .. set, now, each.id)
  rcall('HSET', q .. each.id, 'finishedOn', integer(now), ...)
end

-- Whatever somebody else has written there.
local function count(q, id, field, change)
  local counted = redis.pcall('HINCRBY', q .. id, field, change)
  if type(counted) == 'table' or counted < 0 then
    counted = math.max(0, change)
    rcall('HSET', q .. id, field, counted)
  end
  return counted
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
  local pause = math.max(0, whole(each.delay, 0))
  rcall('HSET', q .. each.id, 'delay', integer(pause))
  if pause > 0 then delay(q, each.id, now + pause) else wait(q, each.id, push) end
end

local function mark(q, id, field, isMarked)
  if isMarked then rcall('HSET', q .. id, field, 1) else rcall('HDEL', q .. id, field) end
end

function settle.retried(q, each)
  rcall('HSET', q .. each.id, 'failedReason', each.reason, 'stacktrace', each.stacktrace)
  rcall('HDEL', q .. each.id, 'releasedSince')
  mark(q, each.id, 'suspect', each.died)
  mark(q, each.id, 'alone', each.died and (count(q, each.id, 'deaths', 1) > 1 or each.isLast))
  again(q, each, 'LPUSH')
end

function settle.released(q, each)
  count(q, each.id, 'attemptsMade', -1)
  rcall('HSET', q .. each.id, 'failedReason', each.reason)
  -- Who knows the job is to decide what its worker's death means.
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

-- All that may be of another kind, before anything is changed.
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
  local verdict = mayNotSettle(q, each)
  if verdict then return verdict end
  if each.state == 'completed' and not request.keepsCompleted then
    -- Where this fails, nothing has changed yet. Nothing here takes memory: it must work in a Redis that is full.
    rcall('LREM', q .. 'active', 1, each.id)
    forget(q, each.id)
    publish(q .. 'completed', cjson.encode({ jobId = each.id, val = 'null' }))
  else
    check(q, each)
    rcall('LREM', q .. 'active', 1, each.id)
    rcall('DEL', q .. each.id .. ':lock')
    rcall('HSET', q .. each.id, 'settled', each.token)
    rcall('HDEL', q .. each.id, 'lease', 'died')
    settle[each.state](q, each)
  end
  return SETTLED
end

local settled = {}
for i, each in ipairs(request.finished) do
  -- One that cannot be stored does not keep the others from it.
  local isFine, result = pcall(apply, base .. each.queue .. ':', each)
  settled[i] = isFine and result or messageOf(result)
end

local claimed = {}
local nextDue = nil
-- Redis does nothing else while a script runs.
local looks = 1000
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

-- Where a suspect must wait for others to end: the name of the list for it.
local function mustWaitIn(q, id)
  local fields = rcall('HMGET', q .. id, 'suspect', 'alone')
  if fields[1] ~= '1' then return nil end
  if fields[2] == '1' then
    if not request.loneSuspect then return 'lone-suspects' end
    request.loneSuspect, request.suspects = false, 0
    return nil
  end
  -- One that waits to be alone has its turn when those that run have ended.
  if request.suspects < 1 or rcall('LLEN', q .. 'lone-suspects') > 0 then return 'suspects' end
  request.loneSuspect, request.suspects = false, request.suspects - 1
  return nil
end

local function claimFrom(queue, q, list, mayGoOn)
  while #claimed < request.slots and mayGoOn() do
    if looks == 0 then
      isMore = 1
      return
    end
    looks = looks - 1
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
  -- These fail where they are of another kind, before anything is taken.
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
    -- In turn, where nothing says which comes first.
    local queue = queues[request.queues and i or (i + request.turn) % #queues + 1]
    -- One broken queue does not stop the others.
    trying(queue, claim, queue)
    if #claimed >= request.slots then break end
  end
end

return { settled, claimed, nextDue and integer(math.max(0, nextDue)) or false, isAlive, isMore, problems }`,
  (reply): AcknowledgeAndClaimReply => {
    const [settled, claimed, nextDue, isAlive, isMore, problems] = reply as Reply
    return {
      applied: settled.map((code) => (typeof code === 'string' ? new Error(code) : (SETTLED[code] as Applied))),
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

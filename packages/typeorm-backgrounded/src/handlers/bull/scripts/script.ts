/** A Lua script, run in one step by Redis, and how its reply reads. */
export interface Script<Reply> {
  /** Name of the ioredis command. */
  readonly name: string
  readonly lua: string
  /** It always fails when Redis accepts no writes. */
  readonly mustWrite: boolean
  readonly read: (reply: unknown) => Reply
}

/**
 * KEYS[1] is `<prefix>:<source>:`, ARGV[1] until when, by Redis's clock in ms, the script may do anything.
 * Below it, `<queue>:` begins the keys of a Bull queue, laid out as Bull 4 does:
 *
 * | key | type | what |
 * |---|---|---|
 * | `<id>` | hash | a job: `name`, `data`, `timestamp`, `delay`, `attemptsMade`, `failedReason`, …, and of ours `lease`, `died`, `settled`, `suspect`, `alone`, `deaths`, `releasedSince`, `discarded` |
 * | `<id>:lock` | string | tells Bull's tools that the job is running |
 * | `wait`, `paused`, `active` | list | ids; the next one is at the right |
 * | `delayed` | sorted set | ids by due time × 4096 |
 * | `completed`, `failed` | sorted set | ids by time |
 * | `discarded` | set | the ids in `failed` that were discarded; ours |
 * | `suspects`, `lone-suspects` | list | waiting ids whose worker died, put aside: some at a time, and one at a time; ours |
 * | `id` | string | how many jobs Bull itself has numbered; there only where Bull itself adds jobs |
 *
 * Beside the queues stand `queues`, a set of the names of those that are not empty, `pushed`, a sorted set of the ids
 * whose caller may send them again, `contact` (see `contact.ts`), and for each worker a hash `worker:<its id>`. A job's
 * `lease` is a token that begins with the id of the worker that runs it.
 *
 * Anyone may have written anything to these keys, and Redis does not roll back a script that fails halfway. So types are
 * checked before the first write, and numbers are read with `whole`.
 */
const PRELUDE = `
local rcall = redis.call
local base = KEYS[1]
local clock = rcall('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if now > tonumber(ARGV[1]) then return redis.error_reply('EXPIRED by ' .. now - tonumber(ARGV[1]) .. ' ms') end

-- A replica refuses it. A Redis that is full takes it, and then everything else that the script writes.
local function mustBeWritable() rcall('DEL', base .. 'none') end

-- A user without a right to channels may use everything else.
local function publish(channel, message) redis.pcall('PUBLISH', channel, message) end

local function integer(number) return string.format('%.0f', number) end

local function whole(value, otherwise)
  local number = tonumber(value)
  if number and number == number and math.abs(number) < 9e15 then return math.floor(number) end
  return otherwise
end

local function kindOf(key) return rcall('TYPE', key).ok end

local function mustBe(kind, q, ...)
  for _, name in ipairs({ ... }) do
    local found = kindOf(q .. name)
    if found ~= kind and found ~= 'none' then
      error({ err = 'WRONGTYPE ' .. q .. name .. ' is a ' .. found .. ' instead of a ' .. kind })
    end
  end
end

local function messageOf(problem)
  return type(problem) == 'table' and (problem.err or 'unknown') or tostring(problem)
end

-- 'LPUSH': to the end of the line. 'RPUSH': to its front.
local function wait(q, id, push)
  local isPaused = rcall('EXISTS', q .. 'meta-paused') == 1
  rcall(push, isPaused and q .. 'paused' or q .. 'wait', id)
  publish(q .. 'waiting@backgrounded', id)
end

-- The microseconds keep the order of what is due at the same time.
local function delay(q, id, due)
  rcall('ZADD', q .. 'delayed', integer(due * 4096 + clock[2] % 4096), id)
  publish(q .. 'delayed', integer(due))
end

local function forget(q, id)
  rcall('DEL', q .. id, q .. id .. ':lock', q .. id .. ':logs')
end
`

export function script<Reply>(
  name: string,
  lua: string,
  read: (reply: unknown) => Reply,
  { mustWrite = false } = {},
): Script<Reply> {
  return { name: `backgrounded${name}`, lua: PRELUDE + lua, mustWrite, read }
}

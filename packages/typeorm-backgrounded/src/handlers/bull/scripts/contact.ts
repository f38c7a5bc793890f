/**
 * Lua that finds out which workers are alive, by a clock that runs only while Redis and its workers are in contact:
 * `contact.total` grows by the time between two successive beats of any workers, unless that is longer than `gap`. There
 * are longer gaps when Redis was frozen, restarted or cut off, when all workers were suspended, and when a clock was set.
 * So the clock counts only time in which a worker could have beaten. A worker is dead when it has not beaten for longer
 * than its lease on this clock, no matter how short a time the other workers have been running.
 *
 * A live worker beats at the latest one beat, one gap and a moment after its last beat, which is less than its lease.
 */
export const CONTACT = `
local function ours(key)
  if kindOf(key) ~= 'hash' then rcall('DEL', key) end
  return key
end

local function contact()
  local fields = rcall('HMGET', ours(base .. 'contact'), 'last', 'total')
  return whole(fields[1], now), whole(fields[2], 0)
end

local function touch(gap)
  local last, total = contact()
  local passed = now - last
  if passed > 0 and passed <= gap then total = total + passed end
  rcall('HSET', base .. 'contact', 'last', integer(now), 'total', integer(total))
  return total
end

local function workerKey(worker) return base .. 'worker:' .. worker end

-- nil: the worker is unknown, or its time belongs to a clock that Redis no longer has.
local function lives(worker, total)
  local key = workerKey(worker)
  -- A worker of an older version, whose key expires when it is dead.
  if kindOf(key) == 'string' then return true end
  local fields = rcall('HMGET', ours(key), 'at', 'lease')
  local at, lease = whole(fields[1]), whole(fields[2])
  if not at or not lease or total < at then return nil end
  return total - at < lease
end

local function live(worker, total, lease)
  local key = ours(workerKey(worker))
  rcall('HSET', key, 'at', integer(total), 'lease', integer(lease))
  -- The key expires long after the jobs of a dead worker were taken over.
  rcall('PEXPIRE', key, integer(24 * 3600 * 1000 + lease))
end
`

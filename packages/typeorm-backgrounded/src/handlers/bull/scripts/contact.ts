/**
 * Lua that tells who lives, by a clock that runs only while Redis and its workers are in touch: `contact.total` grows by the
 * time between two beats, of whichever workers, unless that is longer than `gap`. A Redis that was frozen, restarted or cut
 * off, all workers suspended together, and a clock that was set, are such gaps. So what a worker has on its clock is the
 * time in which it could have beaten: it is dead when that is longer than its lease, whether those who look have been there
 * for long or not, and however often the workers of a crash loop come and go.
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

-- nil: nothing is known of it, or its time is of a clock that Redis has lost.
local function lives(worker, total)
  local key = workerKey(worker)
  -- Of an older version, which lets its key end when it is dead.
  if kindOf(key) == 'string' then return true end
  local fields = rcall('HMGET', ours(key), 'at', 'lease')
  local at, lease = whole(fields[1]), whole(fields[2])
  if not at or not lease or total < at then return nil end
  return total - at < lease
end

local function live(worker, total, lease)
  local key = ours(workerKey(worker))
  rcall('HSET', key, 'at', integer(total), 'lease', integer(lease))
  -- Long after it was taken for dead, and its jobs were taken over.
  rcall('PEXPIRE', key, integer(24 * 3600 * 1000 + lease))
end
`

/** What the scripts return of a job that they have given to this worker. */
export interface ClaimedRecord {
  readonly queue: string
  readonly id: string
  /** The lease token, a new one with every claim. */
  readonly token: string
  readonly attempt: number
  /** As Bull stores it: JSON. */
  readonly data: string
  /** Bull's options, as JSON; absent for a job of ours. */
  readonly opts?: string
  readonly timestamp?: number
  readonly releasedSince?: number
  /** Its worker died before. */
  readonly isSuspect: boolean
  /** A suspect that must run without another. */
  readonly isAlone: boolean
  /** Its worker has died, and no outcome has been stored for that yet. */
  readonly died: boolean
}

/** Lua that gives a running job of `q` to the holder of `token`, and shows it. */
export const GIVE = `
local function show(queue, q, id, token)
  local fields = rcall('HMGET', q .. id, 'attemptsMade', 'data', 'opts', 'timestamp', 'releasedSince', 'suspect', 'alone', 'died')
  return { queue, id, token, unpack(fields, 1, 8) }
end

local function give(queue, q, id, token)
  -- Does not expire, because the worker's own key decides. It keeps Bull's tools from changing a running job.
  rcall('SET', q .. id .. ':lock', token)
  rcall('HSET', q .. id, 'lease', token)
  return show(queue, q, id, token)
end
`

export function readClaimed(reply: unknown): ClaimedRecord[] {
  return (reply as (string | null)[][]).map((fields) => {
    const [queue, id, token, attempt, data, opts, timestamp, since, suspect, alone, died] = fields
    return {
      queue: queue as string,
      id: id as string,
      token: token as string,
      attempt: wholeNumber(attempt) ?? 1,
      data: data ?? '',
      opts: opts ?? undefined,
      timestamp: wholeNumber(timestamp),
      releasedSince: wholeNumber(since),
      isSuspect: suspect === '1',
      isAlone: alone === '1',
      died: died === '1',
    }
  })
}

/** Checks numbers, because anyone may have written anything there. They may not exceed the largest time in JavaScript. */
export function wholeNumber(text: string | null | undefined): number | undefined {
  const number = text ? Number(text) : NaN
  return Number.isInteger(number) && number >= 0 && number <= 8.64e15 ? number : undefined
}

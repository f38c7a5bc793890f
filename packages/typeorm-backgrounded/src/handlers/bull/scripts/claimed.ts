/** What the scripts return of a job that they have given to this worker. */
export interface ClaimedRecord {
  readonly queue: string
  readonly id: string
  /** The lease token, fresh with every claim. */
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
}

/** Lua that gives a running job of `q` to the holder of `token`. */
export const GIVE = `
local function give(queue, q, id, token)
  -- Without an end: what counts is the worker's own key. It keeps Bull's tools off a running job.
  rcall('SET', q .. id .. ':lock', token)
  rcall('HSET', q .. id, 'lease', token)
  local fields = rcall('HMGET', q .. id, 'attemptsMade', 'data', 'opts', 'timestamp', 'releasedSince', 'suspect')
  return { queue, id, token, unpack(fields, 1, 6) }
end
`

export function readClaimed(reply: unknown): ClaimedRecord[] {
  return (reply as (string | null)[][]).map(([queue, id, token, attempt, data, opts, timestamp, since, suspect]) => ({
    queue: queue as string,
    id: id as string,
    token: token as string,
    attempt: Number(attempt),
    data: data ?? '',
    opts: opts ?? undefined,
    timestamp: timestamp ? Number(timestamp) : undefined,
    releasedSince: since ? Number(since) : undefined,
    isSuspect: suspect === '1',
  }))
}

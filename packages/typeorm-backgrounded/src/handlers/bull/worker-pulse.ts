import type { RedisOptions } from 'ioredis'
import { sleep } from '../../concurrency/sleep'
import type { Pulse } from '../heartbeat/heart'
import { Commands } from './commands'
import { Connections } from './connections'
import type { CreateClient } from './redis-option'
import { beat } from './scripts/beat'

/** Can be sent to a thread, unless `redis` holds functions. */
export interface PulseData {
  readonly redis: RedisOptions | CreateClient
  readonly base: string
  readonly worker: string
  /** ms */
  readonly lease: number
  /** ms */
  readonly every: number
  /** The longest time between two beats, in ms. */
  readonly gap: number
}

/**
 * Beats for a worker, over a connection of its own. Its errors are not logged: the worker's own connection has the same
 * ones.
 */
export function workerPulse(data: PulseData): Pulse {
  const { redis, every } = data
  const impatient = typeof redis === 'function' ? redis : { connectTimeout: every, ...redis }
  const connections = new Connections(impatient, { debug() {}, info() {}, warn() {}, error() {} })
  const commands = new Commands(connections, data.base)
  return {
    beat: () => beatWithin(commands, data),
    close: () => connections.close(),
  }
}

/**
 * Tries again and again until the next beat is due, because the beat must arrive soon after Redis is back. A dead
 * connection is noticed within half of that time.
 */
export async function beatWithin(
  commands: Commands,
  { worker, lease, every, gap }: Omit<PulseData, 'redis' | 'base'>,
): Promise<boolean> {
  const end = performance.now() + every
  for (;;) {
    const start = performance.now()
    try {
      return await commands.run(beat, [worker, lease, gap], every / 2)
    } catch (error) {
      const next = Math.max(start + every / 8, performance.now() + 20)
      if (next >= end) throw error
      await sleep(next - performance.now())
    }
  }
}

import type { RedisOptions } from 'ioredis'
import type { Pulse } from '../heartbeat/heart'
import { Commands } from './commands'
import { Connections } from './connections'
import type { CreateClient } from './options'
import { beat } from './scripts/tend'

/** Cloneable, unless `redis` holds functions. */
export interface PulseData {
  readonly redis: RedisOptions | CreateClient
  readonly base: string
  readonly worker: string
  /** ms */
  readonly lease: number
  /** ms */
  readonly every: number
}

/** Keeps a worker's key alive, over a connection of its own. What is wrong with it, the worker's own will say. */
export function workerPulse({ redis, base, worker, lease, every }: PulseData): Pulse {
  const connections = new Connections(redis, { debug() {}, info() {}, warn() {}, error() {} })
  const commands = new Commands(() => connections.client, base)
  return {
    beat: () => commands.run(beat, [worker, lease], every),
    close: () => connections.close(),
  }
}

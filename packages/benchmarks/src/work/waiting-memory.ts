import { usedMemory } from '../places/redis-server'
import { Child } from '../processes/child-process'
import { FILL_CHUNK } from './drain'
import type { Work } from './work'

export interface WaitingMemorySettings {
  readonly jobs: number
}

/** Bytes of Redis that a waiting job takes. */
export const waitingMemory: Work<WaitingMemorySettings> = async (side, place, { jobs }) => {
  if (!place.redis) throw new Error('Only Redis tells.')
  const { host, port } = place.redis
  // What comes with the first job stays out of it.
  await Child.run('fill', side, place, { jobs: 10, chunk: 1 })
  const before = await usedMemory(host, port)
  await Child.run('fill', side, place, { jobs, chunk: FILL_CHUNK })
  return { bytes: ((await usedMemory(host, port)) - before) / jobs }
}

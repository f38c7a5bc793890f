import { createRedisBackend, withBackend } from 'bullmq'
import { openBullMq } from './bullmq-by-hand'
import type { OpenSide } from './side'

/** BullMQ by hand, on Redis. */
export const open: OpenSide = (place) =>
  openBullMq(place, withBackend(createRedisBackend), { ...place.redis, maxRetriesPerRequest: null })

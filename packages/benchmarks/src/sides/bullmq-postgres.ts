import { createPostgresBackend, withBackend } from 'bullmq'
import { openBullMq } from './bullmq-by-hand'
import type { OpenSide } from './side'

/** BullMQ by hand, on Postgres. */
export const open: OpenSide = (place) =>
  openBullMq(place, withBackend(createPostgresBackend), { ...place.postgres, max: place.pool, migrate: place.isBlank })

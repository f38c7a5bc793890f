import { BullHandler } from 'typeorm-backgrounded/bull'
import { openLibrary } from './library'
import type { OpenSide } from './side'

/** This library with `BullHandler`, its outbox and its leases on. */
export const open: OpenSide = (place) => openLibrary(place, new BullHandler({ redis: { ...place.redis } }))

import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { openLibrary } from './library'
import type { OpenSide } from './side'

/** This library on Postgres as it works behind a pooler: no LISTEN, no prepared statements, no prefetched rows. */
export const open: OpenSide = (place) => openLibrary(place, new DatabaseHandler({ listen: false }))

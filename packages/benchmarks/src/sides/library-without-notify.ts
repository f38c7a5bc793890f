import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { openLibrary } from './library'
import type { OpenSide } from './side'

/** This library on Postgres, with calls that do not wake workers. */
export const open: OpenSide = (place) => openLibrary(place, new DatabaseHandler({ notify: false }))

import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { openLibrary } from './library'
import type { OpenSide } from './side'

/** This library with `DatabaseHandler`: Postgres, MariaDB or SQLite, as the place has it. */
export const open: OpenSide = (place) => openLibrary(place, new DatabaseHandler())

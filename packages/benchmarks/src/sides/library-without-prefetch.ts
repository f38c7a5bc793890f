import pg, { type ClientConfig } from 'pg'
import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { openLibrary } from './library'
import type { OpenSide } from './side'

/** A version of pg that sends one statement at a time: the library does not send the reload along with a claim then. */
class Client extends pg.Client {
  constructor(config?: ClientConfig) {
    super({ ...config, pipeline: false } as ClientConfig)
  }
}

/** This library on Postgres, with a reload of its own for every batch of jobs. */
export const open: OpenSide = (place) =>
  openLibrary(place, new DatabaseHandler(), { driver: Object.assign(Object.create(pg), { Client }) as typeof pg })

import { consumption } from './list/consumption.mjs'
import { dispatch } from './list/dispatch.mjs'
import { job } from './list/job.mjs'
import { leasedStore } from './list/leased-store.mjs'
import { mariaDb } from './list/mariadb.mjs'
import { outbox } from './list/outbox.mjs'
import { postgres } from './list/postgres.mjs'
import { worker } from './list/worker.mjs'

/**
 * Faults that somebody might make, each in one line of `src`.
 *
 * `before` stands in the file exactly once, and is as short as that allows, so that it survives a change beside it.
 * `breaks` is the promise that the fault breaks. `tests` are the files, below `test` and without `.test.ts`, that must
 * notice it.
 */
export const mutations = [
  ...dispatch,
  ...worker,
  ...consumption,
  ...leasedStore,
  ...postgres,
  ...mariaDb,
  ...outbox,
  ...job,
]

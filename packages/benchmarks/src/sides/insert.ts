import { v7 as uuidv7 } from 'uuid'
import { BenchUser } from '../model/bench-user'
import { newUser } from '../model/users'
import { dataOf } from './by-hand'
import { dataSourceOf, layUsers, renameUser } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

const INSERT =
  'INSERT INTO own_job (id, queue, task, payload, priority, max_attempts, run_at, created_at) ' +
  'VALUES ($1, $2, $3, $4, $5, $6, now(), now())'

/** A job table of one's own: the columns that a worker needs, and the index that a claim needs. It only writes jobs. */
export const open: OpenSide = async (place) => {
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const valuesOf = (id: number, text?: string) => [
    uuidv7(),
    QUEUE,
    'user.count',
    JSON.stringify(dataOf(id, { text })),
    0,
    ATTEMPTS,
  ]
  return {
    async lay() {
      await layUsers(dataSource, BenchUser)
      await dataSource.query(
        `CREATE TABLE own_job (id uuid PRIMARY KEY, queue text NOT NULL, task text NOT NULL, payload text NOT NULL,
           priority smallint NOT NULL, state text NOT NULL DEFAULT 'waiting', attempt smallint NOT NULL DEFAULT 0,
           max_attempts smallint NOT NULL, run_at timestamptz NOT NULL, created_at timestamptz NOT NULL,
           locked_by uuid, locked_until timestamptz, last_error text)`,
      )
      await dataSource.query(
        "CREATE INDEX own_job_waiting ON own_job (queue, priority, run_at, id) WHERE state = 'waiting'",
      )
    },
    enqueue: (id, text) => dataSource.query(INSERT, valuesOf(id, text)),
    enqueueMany: (ids, { text } = {}) =>
      dataSource.transaction(async (manager) => {
        for (const id of ids) await manager.query(INSERT, valuesOf(id, text))
      }),
    saveAndEnqueue: (number, { isUpdating = false } = {}) =>
      dataSource.transaction(async (manager) => {
        const { id } = await manager.save(Object.assign(new BenchUser(), newUser(number)))
        await manager.query(INSERT, valuesOf(id))
        if (isUpdating) await renameUser(manager, BenchUser, id)
      }),
    work: () => Promise.reject(new Error('This side only writes jobs.')),
    close: () => dataSource.destroy(),
  }
}

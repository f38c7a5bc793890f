import Database from 'better-sqlite3'
import { v7 as uuidv7 } from 'uuid'
import { USERS, userOf } from '../model/users'
import type { OpenSide } from './side'

/** The least that a job costs on SQLite: claim, reload and acknowledge in batches, with raw SQL through the driver. */
export const open: OpenSide = async ({ sqlite }) => {
  const database = new Database(sqlite)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  const insert = (ids: readonly number[]) => {
    const statement = database.prepare('INSERT INTO floor_job (id, payload, run_at) VALUES (?, ?, ?)')
    database.transaction(() => ids.forEach((id) => statement.run(uuidv7(), JSON.stringify({ id }), Date.now())))()
  }
  return {
    async lay() {
      database.exec(
        `CREATE TABLE bench_user (id integer PRIMARY KEY, name varchar NOT NULL, email varchar NOT NULL);
         CREATE TABLE floor_job (id text PRIMARY KEY, payload text NOT NULL, run_at integer NOT NULL,
           state text NOT NULL DEFAULT 'waiting');
         CREATE INDEX floor_job_waiting ON floor_job (run_at, id) WHERE state = 'waiting'`,
      )
      const user = database.prepare('INSERT INTO bench_user (id, name, email) VALUES (@id, @name, @email)')
      database.transaction(() => {
        for (let id = 1; id <= USERS; id++) user.run(userOf(id))
      })()
    },
    enqueue: async (id) => insert([id]),
    enqueueMany: async (ids) => insert(ids),
    async work(slots, ran) {
      const claim = database.prepare<unknown[], { id: string; payload: string }>(
        `UPDATE floor_job SET state = 'running' WHERE id IN (SELECT id FROM floor_job
           WHERE state = 'waiting' AND run_at <= ? ORDER BY run_at, id LIMIT ?) RETURNING id, payload`,
      )
      const reload = database.prepare<unknown[], { id: number }>(
        'SELECT id, name, email FROM bench_user WHERE id IN (SELECT value FROM json_each(?))',
      )
      const acknowledge = database.prepare(
        "DELETE FROM floor_job WHERE id IN (SELECT value FROM json_each(?)) AND state = 'running'",
      )
      let isStopping = false
      const loop = async () => {
        while (!isStopping) {
          const jobs = claim.all(Date.now(), slots)
          for (const { id } of reload.all(
            JSON.stringify(jobs.map(({ payload }) => (JSON.parse(payload) as { id: number }).id)),
          ))
            ran(id)
          if (jobs.length > 0) acknowledge.run(JSON.stringify(jobs.map(({ id }) => id)))
          await new Promise((resolve) => (jobs.length > 0 ? setImmediate(resolve) : setTimeout(resolve, 20)))
        }
      }
      const finished = loop()
      return {
        stop() {
          isStopping = true
          return finished
        },
      }
    },
    close: async () => void database.close(),
  }
}

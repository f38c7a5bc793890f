import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { v7 as uuidv7 } from 'uuid'
import { USERS, userOf } from '../model/users'
import type { OpenSide } from './side'

/** The least that a job costs on MariaDB: claim, reload and acknowledge in batches, with raw SQL through the driver. */
export const open: OpenSide = async ({ mariadb }) => {
  const connection = await createConnection({ ...mariadb })
  await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
  const insert = (ids: readonly number[]) =>
    connection.query('INSERT INTO floor_job (id, payload, run_at) VALUES ?', [
      ids.map((id) => [uuidv7(), JSON.stringify({ id }), Date.now()]),
    ])
  return {
    async lay() {
      await connection.query(
        'CREATE TABLE bench_user (id int AUTO_INCREMENT PRIMARY KEY, name varchar(255) NOT NULL, email varchar(255) NOT NULL)',
      )
      await connection.query(
        `CREATE TABLE floor_job (id char(36) CHARACTER SET ascii PRIMARY KEY, payload text NOT NULL, run_at bigint NOT NULL,
           state varchar(20) NOT NULL DEFAULT 'waiting', INDEX (state, run_at, id))`,
      )
      const users = Array.from({ length: USERS }, (_, index) => Object.values(userOf(index + 1)))
      await connection.query('INSERT INTO bench_user (id, name, email) VALUES ?', [users])
    },
    enqueue: (id) => insert([id]),
    enqueueMany: (ids) => insert(ids),
    async work(slots, ran) {
      const claim = async () => {
        await connection.beginTransaction()
        const [jobs] = await connection.query<RowDataPacket[]>(
          `SELECT id, payload FROM floor_job WHERE state = 'waiting' AND run_at <= ? ORDER BY run_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
          [Date.now(), slots],
        )
        const ids = jobs.map(({ id }) => id as string)
        if (ids.length > 0) await connection.query("UPDATE floor_job SET state = 'running' WHERE id IN (?)", [ids])
        await connection.commit()
        return { ids, users: jobs.map(({ payload }) => (JSON.parse(payload as string) as { id: number }).id) }
      }
      let isStopping = false
      const loop = async () => {
        while (!isStopping) {
          const { ids, users } = await claim()
          if (ids.length === 0) {
            await new Promise((resolve) => setTimeout(resolve, 20))
            continue
          }
          const [rows] = await connection.query<RowDataPacket[]>(
            'SELECT id, name, email FROM bench_user WHERE id IN (?)',
            [users],
          )
          for (const { id } of rows) ran(id as number)
          await connection.query("DELETE FROM floor_job WHERE id IN (?) AND state = 'running'", [ids])
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
    close: () => connection.end(),
  }
}

import type { RunnerOptions, WorkerUtils } from 'graphile-worker' with { 'resolution-mode': 'import' }
import { Pool } from 'pg'
import { BenchUser } from '../model/bench-user'
import { newUser } from '../model/users'
import type { Place } from '../places/place'
import { dataOf, reloadAndRun, type Data } from './by-hand'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, type OpenSide, type Side } from './side'

const TASK = 'count'
const IN_AN_HOUR = 3_600_000

/** graphile-worker by hand, as its documentation begins: `addJob`, and `run` with a concurrency. */
export const open: OpenSide = (place) => openGraphile(place, {})

/** @param preset its own options beyond that */
export async function openGraphile(place: Place, preset: GraphileConfig.WorkerOptions): Promise<Side> {
  const { Logger, makeWorkerUtils, run, runMigrations } = await import('graphile-worker')
  const logger = new Logger(() => () => {})
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const pgPool = new Pool({ ...place.postgres, max: place.pool })
  pgPool.on('error', () => {})
  pgPool.on('connect', (client) => client.on('error', () => {}))
  const options: RunnerOptions = { pgPool, logger, noHandleSignals: true, preset: { worker: preset } }
  // Made with the first call, once the schema is there.
  let opened: Promise<WorkerUtils> | undefined
  const utils = () => (opened ??= makeWorkerUtils({ pgPool, logger }))
  return {
    async lay() {
      await layUsers(dataSource, BenchUser)
      await runMigrations(options)
    },
    enqueue: async (id, text) => (await utils()).addJob(TASK, dataOf(id, { text }), { maxAttempts: ATTEMPTS }),
    enqueueMany: async (ids, options = {}) =>
      (await utils()).addJobs(
        ids.map((id) => ({
          identifier: TASK,
          payload: dataOf(id, options),
          maxAttempts: ATTEMPTS,
          ...(options.isScheduled ? { runAt: new Date(Date.now() + IN_AN_HOUR) } : {}),
        })),
      ),
    saveAndEnqueue: (number) =>
      dataSource.transaction(async (manager) => {
        const { id } = await manager.save(Object.assign(new BenchUser(), newUser(number)))
        await manager.query('SELECT graphile_worker.add_job($1, $2::json, max_attempts := $3)', [
          TASK,
          JSON.stringify({ id }),
          ATTEMPTS,
        ])
      }),
    async work(slots, ran) {
      const taskList = {
        [TASK]: (payload: unknown) => reloadAndRun(payload as Data, repository, ran),
      }
      return run({ ...options, concurrency: slots, taskList })
    },
    async close() {
      await (await opened)?.release()
      await pgPool.end()
      await dataSource.destroy()
    },
  }
}

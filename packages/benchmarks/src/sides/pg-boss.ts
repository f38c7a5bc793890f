import { BenchUser } from '../model/bench-user'
import { dataOf, reloadAndRun, type Data } from './by-hand'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

const BATCH = 500

/**
 * pg-boss by hand: batches of 500, the next one at once after a full one, and LISTEN for what arrives later. It does not
 * know slots.
 */
export const open: OpenSide = async (place) => {
  const { PgBoss } = await import('pg-boss')
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const boss = new PgBoss({
    ...place.postgres,
    max: place.pool,
    supervise: false,
    schedule: false,
    useListenNotify: true,
  })
  boss.on('error', () => {})
  const retries = { retryLimit: ATTEMPTS - 1, retryDelay: 2, retryBackoff: true }
  await boss.start()
  await boss.createQueue(QUEUE, { notify: true, ...retries })
  return {
    lay: () => layUsers(dataSource, BenchUser),
    enqueue: (id, text) => boss.send(QUEUE, dataOf(id, { text })),
    enqueueMany: (ids, options) =>
      boss.insert(
        QUEUE,
        ids.map((id) => ({ data: dataOf(id, options) })),
      ),
    async work(_slots, ran) {
      const options = { batchSize: BATCH, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
      await boss.work<Data>(QUEUE, options, async (jobs) => {
        await Promise.all(jobs.map(({ data }) => reloadAndRun(data, repository, ran)))
      })
      return { stop: () => boss.offWork(QUEUE) }
    },
    async close() {
      await boss.stop({ graceful: false })
      await dataSource.destroy()
    },
  }
}

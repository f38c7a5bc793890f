import PgBoss from 'pg-boss'
import { BenchUser } from '../model/bench-user'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

const BATCH = 500

interface Data {
  readonly id: number
  readonly text?: string
}

/** pg-boss by hand, in batches of 500 and polling as often as it can; slots are of no meaning to it. */
export const open: OpenSide = async (place) => {
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const boss = new PgBoss({ ...place.postgres, max: place.pool, supervise: false, schedule: false })
  boss.on('error', () => {})
  const retries = { retryLimit: ATTEMPTS - 1, retryDelay: 2, retryBackoff: true }
  await boss.start()
  await boss.createQueue(QUEUE)
  return {
    lay: () => layUsers(dataSource, BenchUser),
    enqueue: (id, text) => boss.send(QUEUE, text ? { id, text } : { id }, retries),
    enqueueMany: (ids, { text } = {}) =>
      boss.insert(ids.map((id) => ({ name: QUEUE, data: text ? { id, text } : { id }, ...retries }))),
    async work(_slots, ran) {
      await boss.work<Data>(QUEUE, { batchSize: BATCH, pollingIntervalSeconds: 0.5 }, async (jobs) => {
        await Promise.all(
          jobs.map(async ({ data }) => {
            const user = await repository.findOneBy({ id: data.id })
            if (user) ran(user.id)
          }),
        )
      })
      return { stop: () => boss.offWork(QUEUE) }
    },
    async close() {
      await boss.stop({ graceful: false })
      await dataSource.destroy()
    },
  }
}

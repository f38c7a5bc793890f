import Bull from 'bull'
import { BenchUser } from '../model/bench-user'
import { newUser } from '../model/users'
import { dataOf, reloadAndRun, type Data } from './by-hand'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

/** Bull by hand. */
export const open: OpenSide = async (place) => {
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const queue = new Bull<Data>(QUEUE, {
    redis: { ...place.redis },
    defaultJobOptions: {
      attempts: ATTEMPTS,
      backoff: { type: 'exponential', delay: 2_000 },
      removeOnComplete: true,
    },
  })
  await queue.isReady()
  return {
    lay: () => layUsers(dataSource, BenchUser),
    enqueue: (id, text) => queue.add(dataOf(id, { text })),
    enqueueMany: (ids, options) => queue.addBulk(ids.map((id) => ({ data: dataOf(id, options) }))),
    async saveAndEnqueue(number) {
      const { id } = await dataSource.transaction((manager) =>
        manager.save(Object.assign(new BenchUser(), newUser(number))),
      )
      await queue.add({ id })
    },
    async work(slots, ran) {
      void queue.process(slots, ({ data }) => reloadAndRun(data, repository, ran))
      await queue.isReady()
      return { stop: () => queue.pause(true, true) }
    },
    async close() {
      await queue.close(true)
      await dataSource.destroy()
    },
  }
}

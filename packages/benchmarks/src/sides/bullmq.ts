import { Queue, Worker } from 'bullmq'
import { BenchUser } from '../model/bench-user'
import { newUser } from '../model/users'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

interface Data {
  readonly id: number
  readonly text?: string
}

/** BullMQ by hand. */
export const open: OpenSide = async (place) => {
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const connection = { ...place.redis, maxRetriesPerRequest: null }
  const queue = new Queue<Data>(QUEUE, {
    connection,
    defaultJobOptions: {
      attempts: ATTEMPTS,
      backoff: { type: 'exponential', delay: 2_000 },
      removeOnComplete: true,
    },
  })
  await queue.waitUntilReady()
  return {
    lay: () => layUsers(dataSource, BenchUser),
    enqueue: (id, text) => queue.add('count', text ? { id, text } : { id }),
    enqueueMany: (ids, { text } = {}) =>
      queue.addBulk(ids.map((id) => ({ name: 'count', data: text ? { id, text } : { id } }))),
    async saveAndEnqueue(number) {
      const { id } = await repository.save(Object.assign(new BenchUser(), newUser(number)))
      await queue.add('count', { id })
    },
    async work(slots, ran) {
      const worker = new Worker<Data>(
        QUEUE,
        async ({ data }) => {
          const user = await repository.findOneBy({ id: data.id })
          if (user) ran(user.id)
        },
        { connection, concurrency: slots },
      )
      await worker.waitUntilReady()
      return { stop: () => worker.close(true) }
    },
    async close() {
      await queue.close()
      await dataSource.destroy()
    },
  }
}

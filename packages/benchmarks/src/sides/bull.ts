import Bull from 'bull'
import { BenchUser } from '../model/bench-user'
import { newUser } from '../model/users'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type OpenSide } from './side'

interface Data {
  readonly id: number
  readonly text?: string
}

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
    enqueue: (id, text) => queue.add(text ? { id, text } : { id }),
    enqueueMany: (ids, { text } = {}) => queue.addBulk(ids.map((id) => ({ data: text ? { id, text } : { id } }))),
    async saveAndEnqueue(number) {
      const { id } = await dataSource.transaction((manager) =>
        manager.save(Object.assign(new BenchUser(), newUser(number))),
      )
      await queue.add({ id })
    },
    async work(slots, ran) {
      void queue.process(slots, async ({ data }) => {
        const user = await repository.findOneBy({ id: data.id })
        if (user) ran(user.id)
      })
      await queue.isReady()
      return { stop: () => queue.pause(true, true) }
    },
    async close() {
      await queue.close(true)
      await dataSource.destroy()
    },
  }
}

import type { BackendClasses, IQueueBackend } from 'bullmq'
import { BenchUser } from '../model/bench-user'
import type { Place } from '../places/place'
import { dataOf, reloadAndRun, type Data } from './by-hand'
import { dataSourceOf, layUsers } from './data-source'
import { ATTEMPTS, QUEUE, type Side } from './side'

const NAME = 'count'

/** BullMQ by hand, wherever it keeps its jobs. */
export async function openBullMq<Backend extends IQueueBackend, Connection>(
  place: Place,
  { Queue, Worker }: BackendClasses<Backend, Connection>,
  connection: Connection,
): Promise<Side> {
  const dataSource = await dataSourceOf(place, BenchUser).initialize()
  const repository = dataSource.getRepository(BenchUser)
  const queue = new Queue<Data, void, string>(QUEUE, {
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
    enqueue: (id, text) => queue.add(NAME, dataOf(id, { text })),
    enqueueMany: (ids, options) => queue.addBulk(ids.map((id) => ({ name: NAME, data: dataOf(id, options) }))),
    async work(slots, ran) {
      const processor = ({ data }: { data: Data }) => reloadAndRun(data, repository, ran)
      const worker = new Worker<Data, void>(QUEUE, processor, { connection, concurrency: slots })
      worker.on('error', () => {})
      await worker.waitUntilReady()
      return { stop: () => worker.close(true) }
    },
    async close() {
      await queue.close()
      await dataSource.destroy()
    },
  }
}

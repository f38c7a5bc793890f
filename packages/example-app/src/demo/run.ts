import { pathToFileURL } from 'node:url'
import { backgroundedEvents, settled, type JobSummary } from 'typeorm-backgrounded'
import { pathInAlbum } from '../album-directory'
import { dataSource } from '../data-source'
import { postgres, redis } from '../servers'
import { makeFreshDatabase } from './fresh-database'
import { makeFreshDirectory } from './fresh-directory'
import { makeFreshQueues } from './fresh-queues'
import { introduce, relay, say } from './narration'
import { tellStory } from './story'
import { nameOf, type Report } from './worker-log'
import { WorkerProcess } from './worker-process'

/** Both processes, from an empty album to a good end. */
export async function run(): Promise<void> {
  const deadline = AbortSignal.timeout(45_000)
  await makeFresh()
  await dataSource.initialize()

  const enqueued: JobSummary[] = []
  backgroundedEvents(dataSource).on('enqueued', ({ job }) => {
    enqueued.push(job)
    say('application', 'enqueued', nameOf(job))
  })
  const worker = new WorkerProcess(introduce, relay)
  const jobsEnd = async (): Promise<Report[]> => {
    await settled(dataSource) // what was committed is on its way to Redis
    return Promise.all(enqueued.map((job) => worker.endOf(job, deadline)))
  }
  try {
    await tellStory(jobsEnd)
  } finally {
    await worker.stop().finally(() => dataSource.destroy())
  }
  console.log(`\nAll is well. The album: ${pathToFileURL(pathInAlbum('index.html')).href}`)
}

async function makeFresh(): Promise<void> {
  if (dataSource.options.type === 'postgres') {
    await makeFreshDatabase(postgres.database)
    await makeFreshQueues(redis.prefix)
  }
  await makeFreshDirectory()
}

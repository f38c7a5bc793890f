import { pathToFileURL } from 'node:url'
import { backgroundedEvents, type JobSummary } from 'typeorm-backgrounded'
import { pathInAlbum } from './album-directory'
import { dataSource } from './data-source'
import { makeFreshDirectory } from './demo/fresh-directory'
import { nameOf, relay, say } from './demo/narration'
import { tellStory } from './demo/story'
import { WorkerProcess } from './demo/worker-process'

async function start(): Promise<void> {
  const deadline = AbortSignal.timeout(45_000)
  await makeFreshDirectory()
  await dataSource.initialize()

  const enqueued: JobSummary[] = []
  backgroundedEvents(dataSource).on('enqueued', ({ job }) => {
    enqueued.push(job)
    say('application', 'enqueued', nameOf(job))
  })
  const worker = new WorkerProcess(relay)
  try {
    await tellStory(() => Promise.all(enqueued.map((job) => worker.endOf(job, deadline))))
  } finally {
    await worker.stop().finally(() => dataSource.destroy())
  }
  console.log(`\nAll is well. The album: ${pathToFileURL(pathInAlbum('index.html')).href}`)
}

start().catch((error: unknown) => {
  console.error(`\nThe album is not as it should be: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
})

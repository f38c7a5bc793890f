import { checkpoint, writtenAhead } from '../places/postgres'
import { Child } from '../processes/child-process'
import { FILL_CHUNK } from './drain'
import { runWorkers, type WorkersSettings } from './workers'
import type { Work } from './work'

/**
 * Bytes of the write-ahead log for the whole life of a job: enqueued, claimed, ended. The log is that of the whole server,
 * so that nobody else may write to it.
 */
export const writeAheadLog: Work<WorkersSettings> = async (side, place, settings) => {
  if (!place.postgres) throw new Error('Only the log of Postgres is measured.')
  const { jobs } = settings
  // What comes with the first job stays out of it.
  await Child.run('fill', side, place, { jobs: 10, chunk: 1 })
  // One in the middle would have whole pages written to the log.
  await checkpoint(place.postgres)
  const before = await writtenAhead(place.postgres)
  await Child.run('fill', side, place, { jobs, chunk: FILL_CHUNK })
  await runWorkers(side, place, settings)
  return { wal: ((await writtenAhead(place.postgres)) - before) / jobs }
}

import { Child } from '../processes/child-process'
import { FILL_CHUNK } from './drain'
import { paceOf, runWorkers, type WorkersSettings } from './workers'
import type { Work } from './work'

const SAMPLES = 10

/** The worker's memory as a long backlog is drained to its end: `rss10` … `rss100`, by percent of the jobs. */
export const drainInConstantMemory: Work<WorkersSettings> = async (side, place, settings) => {
  const { jobs } = settings
  await Child.run('fill', side, place, { jobs, chunk: FILL_CHUNK })
  await place.letCatchUp()
  const reports = await runWorkers(side, place, settings)
  const marks = reports.flatMap(({ marks }) => marks)
  const samples = Array.from({ length: SAMPLES }, (_, index) => {
    const share = (index + 1) / SAMPLES
    const mark = marks.find(({ runs }) => runs >= share * jobs) ?? marks.at(-1)
    return [`rss${share * 100}`, mark?.rss ?? NaN] as const
  })
  return { pace: paceOf(reports, jobs), ...Object.fromEntries(samples) }
}

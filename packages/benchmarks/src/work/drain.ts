import { Child } from '../processes/child-process'
import { paceOf, runWorkers, type WorkersSettings } from './workers'
import type { Work } from './work'

export interface DrainSettings extends WorkersSettings {
  /** An argument of each job. */
  readonly text?: string
  /** Jobs that load nothing and do nothing. */
  readonly isEmpty?: boolean
}

export const FILL_CHUNK = 500

/** Jobs a second, each with a reload of its row unless they are empty, and the worker's memory. */
export const drain: Work<DrainSettings> = async (side, place, { text, isEmpty, ...settings }) => {
  const { jobs } = settings
  await Child.run('fill', side, place, { jobs, chunk: FILL_CHUNK, text, isEmpty })
  await place.letCatchUp()
  const reports = await runWorkers(side, place, settings)
  return { pace: paceOf(reports, jobs), rss: Math.max(...reports.map(({ peakRss }) => peakRss)) }
}

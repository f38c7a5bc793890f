import { Child } from '../processes/child-process'
import { FILL_CHUNK } from './drain'
import { paceOf, runWorkers, type WorkersSettings } from './workers'
import type { PrivatePlace } from '../places/place'
import type { Work } from './work'

export interface BacklogSettings extends WorkersSettings {
  /** Jobs that still wait when the measurement is over. */
  readonly backlog: number
}

const waiting = new WeakMap<PrivatePlace, number>()

/** Jobs a second while many more wait. A place that is used again is filled up to its backlog again. */
export const drainFromBacklog: Work<BacklogSettings> = async (side, place, { backlog, ...settings }) => {
  const { jobs } = settings
  const missing = backlog + jobs - (waiting.get(place) ?? 0)
  await Child.run('fill', side, place, { jobs: missing, chunk: FILL_CHUNK })
  await place.letCatchUp()
  const reports = await runWorkers(side, place, { ...settings, isEndless: true })
  const ran = reports.reduce((sum, { marks }) => sum + (marks.at(-1)?.runs ?? 0), 0)
  waiting.set(place, backlog + jobs - ran)
  const report = reports.map(({ marks, ...rest }) => ({ ...rest, marks: marks.filter(({ runs }) => runs <= jobs) }))
  return { pace: paceOf(report, jobs), rss: Math.max(...reports.map(({ peakRss }) => peakRss)) }
}

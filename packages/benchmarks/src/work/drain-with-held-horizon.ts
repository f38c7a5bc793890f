import { holdSnapshot } from '../places/postgres'
import { Child } from '../processes/child-process'
import { FILL_CHUNK } from './drain'
import { paceBetween, paceOf, runWorkers, type WorkersSettings } from './workers'
import type { Work } from './work'

export interface HorizonSettings extends WorkersSettings {
  readonly isHeld: boolean
}

/** Jobs a second at the beginning and at the end of a drain while a snapshot keeps every dead row where it is. */
export const drainWithHeldHorizon: Work<HorizonSettings> = async (side, place, settings) => {
  const { jobs, isHeld } = settings
  if (!place.postgres) throw new Error('Only Postgres has such a horizon.')
  await Child.run('fill', side, place, { jobs, chunk: FILL_CHUNK })
  await place.letCatchUp()
  const release = isHeld ? await holdSnapshot(place.postgres) : undefined
  try {
    const reports = await runWorkers(side, place, settings)
    const [report] = reports
    if (!report) throw new Error('No worker.')
    const tenth = jobs / 10
    return {
      pace: paceOf(reports, jobs),
      first: paceBetween(report, 1, tenth),
      last: paceBetween(report, jobs - tenth, jobs),
    }
  } finally {
    await release?.()
  }
}

import { Child } from '../processes/child-process'
import { drain, FILL_CHUNK } from './drain'
import { runWorkers, type WorkersSettings } from './workers'
import type { Work } from './work'

export interface BesideSettings extends WorkersSettings {
  /** Jobs of another day, in the same queue. */
  readonly scheduled: number
  /** Jobs that have failed, and are kept. */
  readonly failed: number
}

/** Jobs a second beside jobs that are not due and jobs that are over. */
export const drainBesideOthers: Work<BesideSettings> = async (side, place, { scheduled, failed, ...settings }) => {
  const { slots } = settings
  if (scheduled > 0) {
    await Child.run('fill', side, place, { jobs: scheduled, chunk: FILL_CHUNK, isScheduled: true })
  }
  if (failed > 0) {
    await Child.run('fill', side, place, { jobs: failed, chunk: FILL_CHUNK, isFailing: true })
    await runWorkers(side, place, { jobs: failed, slots })
  }
  return drain(side, place, settings)
}

import { Child } from '../processes/child-process'
import type { FillSettings } from '../steps/fill'
import type { Work } from './work'

/** Jobs a second, many in one write. */
export const enqueueBulk: Work<FillSettings> = async (side, place, settings) => ({
  pace: await Child.run('fill', side, place, settings),
})

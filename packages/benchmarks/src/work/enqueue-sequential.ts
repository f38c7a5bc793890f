import { Child } from '../processes/child-process'
import type { CallSettings } from '../steps/call-sequentially'
import type { Work } from './work'

/** Calls a second, each awaited before the next. */
export const enqueueSequential: Work<CallSettings> = async (side, place, settings) => ({
  pace: await Child.run('callSequentially', side, place, settings),
})

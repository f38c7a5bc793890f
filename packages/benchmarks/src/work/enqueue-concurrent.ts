import { Child } from '../processes/child-process'
import type { CallSettings } from '../steps/call-sequentially'
import type { Work } from './work'

/** Calls a second, all started together. */
export const enqueueConcurrent: Work<CallSettings> = async (side, place, settings) => ({
  pace: await Child.run('callConcurrently', side, place, settings),
})

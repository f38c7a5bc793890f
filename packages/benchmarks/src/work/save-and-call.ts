import { Child } from '../processes/child-process'
import type { SaveSettings } from '../steps/save-and-call'
import type { Work } from './work'

/** Rows saved a second, each with a job. */
export const saveAndCall: Work<SaveSettings> = async (side, place, settings) => ({
  pace: await Child.run('saveAndCall', side, place, settings),
})

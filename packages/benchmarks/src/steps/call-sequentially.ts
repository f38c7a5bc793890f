import { userIdOf } from '../model/users'
import type { Step } from './index'

export interface CallSettings {
  readonly calls: number
  /** Calls before the clock starts. */
  readonly warmUp: number
}

/** Makes each call once the one before it is stored. Returns the calls a second. */
export const callSequentially: Step<CallSettings, number> = async (side, { calls, warmUp }) => {
  for (let call = 0; call < warmUp; call++) await side.enqueue(userIdOf(call))
  const start = performance.now()
  for (let call = 0; call < calls; call++) await side.enqueue(userIdOf(call))
  return calls / ((performance.now() - start) / 1_000)
}

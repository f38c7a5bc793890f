import { userIdOf } from '../model/users'
import type { CallSettings } from './call-sequentially'
import type { Step } from './index'

/** Starts all calls together. Returns the calls a second, until the last one is stored. */
export const callConcurrently: Step<CallSettings, number> = async (side, { calls, warmUp }) => {
  const call = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => side.enqueue(userIdOf(index))))
  await call(warmUp)
  const start = performance.now()
  await call(calls)
  return calls / ((performance.now() - start) / 1_000)
}

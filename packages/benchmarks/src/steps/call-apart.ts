import { userIdOf } from '../model/users'
import { now } from '../measure/clock'
import type { Step } from './index'

export interface CallApartSettings {
  readonly calls: number
  readonly warmUp: number
  /** ms between calls */
  readonly interval: number
}

/** Makes single calls, some time apart. Returns when each was made, in ms, the warm-up included. */
export const callApart: Step<CallApartSettings, readonly number[]> = async (side, { calls, warmUp, interval }) => {
  const called: number[] = []
  const pending: Promise<unknown>[] = []
  for (let call = 0; call < warmUp + calls; call++) {
    await new Promise((resolve) => setTimeout(resolve, interval))
    called.push(now())
    pending.push(side.enqueue(userIdOf(call)))
  }
  await Promise.all(pending)
  return called
}

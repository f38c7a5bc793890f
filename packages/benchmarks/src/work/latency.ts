import { quantile } from '../measure/statistics'
import { userIdOf } from '../model/users'
import { Child } from '../processes/child-process'
import type { CallApartSettings } from '../steps/call-apart'
import type { Work } from './work'

export interface LatencySettings extends CallApartSettings {
  readonly slots: number
}

/** ms from a call in one process to the start of the method, on the reloaded row, in another one that was idle. */
export const latency: Work<LatencySettings> = async (side, place, { slots, ...calls }) => {
  const worker = await Child.start('work', side, place, { slots, every: 1_000, isNotingStarts: true })
  await new Promise<void>((resolve, reject) => {
    worker.watch(resolve).catch(reject)
    worker.go()
  })
  const called = await Child.run('callApart', side, place, calls)
  await new Promise<void>((resolve, reject) => {
    const count = () => worker.count >= called.length && resolve()
    worker.watch(count).catch(reject)
    count()
  })
  worker.stop()
  const { starts } = await worker.end()
  const delays = called.map((at, index) => (starts[userIdOf(index)] ?? NaN) - at).slice(calls.warmUp)
  return { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) }
}

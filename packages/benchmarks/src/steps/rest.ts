import type { Step } from './index'

export interface RestSettings {
  readonly slots: number
  /** Seconds before the count begins: a worker looks around after its start. */
  readonly warmUp: number
  readonly seconds: number
}

/** The worker has started, and from now on is watched. */
export const WATCHED = 1

/** Lets a worker wait for jobs that do not come. Returns the part of one core that its process used, in percent. */
export const rest: Step<RestSettings, number> = async (side, { slots, warmUp, seconds }, parent) => {
  const working = await side.work(slots, () => undefined)
  await passed(warmUp)
  parent.count(WATCHED)
  const before = process.cpuUsage()
  await passed(seconds)
  const { user, system } = process.cpuUsage(before)
  parent.count(0)
  // What happens at its end is not counted.
  await parent.stopped
  await Promise.race([working.stop(), passed(5)])
  return ((user + system) / 1e6 / seconds) * 100
}

function passed(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
}

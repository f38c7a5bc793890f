import { now } from '../measure/clock'
import type { Step } from './index'

export interface WorkSettings {
  readonly slots: number
  /** After how many runs to note the time and the memory. */
  readonly every: number
  /** After so many runs, methods do not return before the worker stops: one that never lets go would run on. */
  readonly limit?: number
  /** Note the start of every single run, by the user's id: for a few jobs only. */
  readonly isNotingStarts?: boolean
}

export interface WorkReport {
  /** In the order of time; the first one at the first run. */
  readonly marks: readonly Mark[]
  /** The most memory that the process had, in MB. */
  readonly peakRss: number
  readonly starts: Readonly<Record<number, number>>
}

export interface Mark {
  readonly runs: number
  /** ms, of a clock that the processes of the machine share */
  readonly at: number
  /** MB */
  readonly rss: number
}

const REPORT_EVERY = 20
const MB = 2 ** 20

/** Runs jobs until it is told to stop. */
export const work: Step<WorkSettings, WorkReport> = async (
  side,
  { slots, every, limit = Infinity, isNotingStarts },
  parent,
) => {
  const marks: Mark[] = []
  const starts: Record<number, number> = {}
  let runs = 0
  let last = 0
  let release = () => {}
  const stopping = new Promise<void>((resolve) => (release = resolve))
  const ran = (id: number) => {
    runs++
    last = now()
    if (isNotingStarts) starts[id] = last
    if (runs === 1 || runs % every === 0) marks.push({ runs, at: last, rss: process.memoryUsage.rss() / MB })
    return runs >= limit ? stopping : undefined
  }
  const working = await side.work(slots, ran)
  let told = -1
  const reports = setInterval(() => {
    if (told !== runs) parent.count((told = runs))
  }, REPORT_EVERY)
  parent.count(0)
  await parent.stopped
  clearInterval(reports)
  const peakRss = process.resourceUsage().maxRSS / 1_024
  if (marks.at(-1)?.runs !== runs) marks.push({ runs, at: last, rss: process.memoryUsage.rss() / MB })
  const stopped = working.stop()
  release()
  // Some peers wait for their connections to end.
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 5_000).unref())])
  return { marks, peakRss, starts }
}

import type { PrivatePlace } from '../places/place'
import { Child } from '../processes/child-process'
import type { SideName } from '../sides'
import type { Mark, WorkReport } from '../steps/work'

export interface WorkersSettings {
  readonly jobs: number
  readonly slots: number
  /** Processes, default 1. */
  readonly workers?: number
  /** More jobs wait than are to be run, default false. */
  readonly isEndless?: boolean
}

/** Has worker processes run so many jobs that wait already. */
export async function runWorkers(
  side: SideName,
  place: PrivatePlace,
  { jobs, slots, workers = 1, isEndless = false }: WorkersSettings,
): Promise<WorkReport[]> {
  const limit = isEndless ? Math.ceil(jobs / workers) : undefined
  const every = Math.max(1, Math.round(jobs / 100))
  const children: Child<'work'>[] = []
  while (children.length < workers) children.push(await Child.start('work', side, place, { slots, every, limit }))
  await new Promise<void>((resolve, reject) => {
    const count = () => {
      if (children.reduce((sum, child) => sum + child.count, 0) >= jobs) resolve()
    }
    for (const child of children) child.watch(count).catch(reject)
    for (const child of children) child.go()
  })
  for (const child of children) child.stop()
  return Promise.all(children.map((child) => child.end()))
}

/** Jobs a second, from the first run of all to the last one. */
export function paceOf(reports: readonly WorkReport[], jobs: number): number {
  const marks = reports.flatMap(({ marks }) => marks)
  const times = marks.map(({ at }) => at)
  return (jobs / (Math.max(...times) - Math.min(...times))) * 1_000
}

/** Jobs a second between two numbers of runs of one worker. */
export function paceBetween({ marks }: WorkReport, from: number, to: number): number {
  const first = nearest(marks, from)
  const last = nearest(marks, to)
  return ((last.runs - first.runs) / (last.at - first.at)) * 1_000
}

function nearest(marks: readonly Mark[], runs: number): Mark {
  return marks.find((mark) => mark.runs >= runs) ?? (marks.at(-1) as Mark)
}

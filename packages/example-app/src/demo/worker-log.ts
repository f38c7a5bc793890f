import type { JobSummary } from 'typeorm-backgrounded'

/** The first line of the worker's log. */
export interface Start {
  /** What it works on, as 'postgres photo_album'. */
  readonly dataSource: string
  readonly handler: string
}

/** A line of the worker's log about a job. */
export interface Report {
  readonly job: JobSummary
  /** What became of it, as 'completed'. */
  readonly msg: string
  readonly ms?: number
  readonly reason?: string
  readonly err?: { message: string }
}

/** `Photo#5.makeThumbnails` */
export function nameOf({ entity, key, method }: JobSummary): string {
  return key ? `${entity}#${Object.values(key).join(',')}.${method}` : `${entity}.${method}`
}

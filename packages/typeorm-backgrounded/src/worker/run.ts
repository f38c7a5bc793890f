import type { RunningJobSummary } from '../events'
import type { ClaimedJob } from '../handlers/contract/consumable'
import type { ReceivedJob } from '../job/envelope'
import type { MarkedMethod } from '../metadata/method-table'

/** A job between two steps of its run. */
export interface Run {
  readonly job: ClaimedJob
  readonly received: ReceivedJob
  readonly method: MarkedMethod
  readonly summary: RunningJobSummary
}

/** How much of everything. */
export interface Sizes {
  readonly pairs: number
  /** Calls before the clock starts: a process that calls is a long-lived one, whose code is compiled. */
  readonly warmUp: number
  /** The same where calls are some time apart. */
  readonly warmUpApart: number
  readonly sequentialCalls: number
  readonly concurrentCalls: number
  readonly bulkJobs: number
  readonly bulkChunk: number
  readonly saves: number
  readonly savesOfMany: number
  readonly drained: number
  readonly latencyCalls: number
  readonly smallBacklog: number
  readonly middleBacklog: number
  readonly largeBacklog: number
  readonly horizonJobs: number
  readonly waiting: number
  readonly besides: number
  /** Seconds of an idle worker, before and while it is watched. */
  readonly restWarmUp: number
  readonly rest: number
}

export const FULL: Sizes = {
  pairs: 5,
  warmUp: 2_000,
  warmUpApart: 200,
  sequentialCalls: 5_000,
  concurrentCalls: 5_000,
  bulkJobs: 20_000,
  bulkChunk: 1_000,
  saves: 2_000,
  savesOfMany: 6_000,
  drained: 20_000,
  latencyCalls: 300,
  smallBacklog: 10_000,
  middleBacklog: 100_000,
  largeBacklog: 1_000_000,
  horizonJobs: 50_000,
  waiting: 20_000,
  besides: 100_000,
  restWarmUp: 10,
  rest: 60,
}

/** For trying the program out. */
export const QUICK: Sizes = {
  pairs: 1,
  warmUp: 10,
  warmUpApart: 10,
  sequentialCalls: 100,
  concurrentCalls: 200,
  bulkJobs: 400,
  bulkChunk: 100,
  saves: 50,
  savesOfMany: 100,
  drained: 500,
  latencyCalls: 20,
  smallBacklog: 100,
  middleBacklog: 500,
  largeBacklog: 2_000,
  horizonJobs: 1_000,
  waiting: 500,
  besides: 500,
  restWarmUp: 1,
  rest: 2,
}

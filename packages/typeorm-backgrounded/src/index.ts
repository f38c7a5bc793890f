export { backgroundedEvents, createWorker, drain, settled, withBackgrounded } from './plugin/attach'
export type { DrainOptions } from './plugin/attach'
export type { BackgroundedOptions } from './plugin/options'
export { resolve } from './plugin/runtime'
export { backgrounded } from './dispatch/backgrounded'
export type {
  BackgroundedMethods,
  BackgroundedMethodsOfMany,
  BackgroundedStaticMethods,
  InBackground,
  OrReference,
} from './dispatch/backgrounded'
export type { JobReceipt } from './dispatch/job-receipt'
export {
  AmbiguousDataSourceError,
  AssertionFailedError,
  BackgroundedError,
  DuplicateEntityNameError,
  EnqueueError,
  HandlerInUseError,
  InvalidArgumentError,
  InvalidDeclarationError,
  InvalidKeyError,
  InvalidOptionError,
  LeaseLostError,
  MalformedJobError,
  MissingKeyError,
  MissingTableError,
  NoCurrentJobError,
  NoResolverError,
  NotAttachedError,
  NotBackgroundedError,
  NotConsumableError,
  OutdatedTableError,
  PayloadTooLargeError,
  RowChangedClassError,
  RowMissingError,
  StoreRefusedError,
  StoreUnavailableError,
  UnknownMethodError,
  UnsupportedDatabaseError,
  UnsupportedOptionError,
  UnsupportedVersionError,
  WorkerDiedError,
  WorkerStoppingError,
} from './errors'
export type {
  BackgroundedEventMap,
  BackgroundedEvents,
  BackgroundedListener,
  JobSummary,
  RunningJobSummary,
} from './events'
export { consumeStore } from './handlers/consumption/consume-store'
export type { SimpleStore } from './handlers/consumption/consume-store'
export type { ClaimedJob, Consumable, ConsumeOptions, Consumption, Execute } from './handlers/contract/consumable'
export type {
  EnqueueResult,
  EntityTargets,
  Handler,
  HandlerCapabilities,
  HandlerHost,
} from './handlers/contract/handler'
export type { Inspectable, InspectedJob, JobQuery, JobState } from './handlers/contract/inspectable'
export type { Outcome } from './handlers/contract/outcome'
export { NullHandler } from './handlers/null'
export { SynchronousHandler } from './handlers/synchronous'
export type { SynchronousHandlerOptions } from './handlers/synchronous'
export type { Backoff } from './job/backoff'
export type { Duration } from './job/duration'
export { reference } from './job/entity-reference'
export type { EntityKey, EntityReference } from './job/entity-reference'
export { dueTime } from './job/envelope'
export type { JobEnvelope, JobKey } from './job/envelope'
export type { JsonObject, JsonValue } from './job/json'
export type { Logger } from './logger'
export { AfterCommitBackgrounded, Backgrounded, BackgroundedEntity } from './metadata/decorators'
export type { AfterCommitEvent, AfterCommitOptions, RowEvent } from './metadata/after-commit-options'
export type { CallOptions, MethodOptions, OnMissing } from './metadata/options'
export { currentJob, currentJobOrUndefined } from './worker/job-context'
export type { CurrentJob } from './worker/job-context'
export { DiscardJob, SnoozeJob } from './worker/discard-and-snooze'
export type { StopReport, WorkCounts, Worker, WorkerOptions, RunOptions } from './worker/worker'

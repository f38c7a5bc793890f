import { drain } from './drain'
import { drainBesideOthers } from './drain-beside-others'
import { drainFromBacklog } from './drain-from-backlog'
import { drainInConstantMemory } from './drain-in-constant-memory'
import { drainWithHeldHorizon } from './drain-with-held-horizon'
import { enqueueBulk } from './enqueue-bulk'
import { enqueueConcurrent } from './enqueue-concurrent'
import { enqueueSequential } from './enqueue-sequential'
import { importCost } from './import-cost'
import { latency } from './latency'
import { rest } from './rest'
import { saveAndCall } from './save-and-call'
import { startUp } from './start-up'
import { waitingMemory } from './waiting-memory'
import { writeAheadLog } from './write-ahead-log'

/** Every kind of work by name. */
export const WORKS = {
  drain,
  drainBesideOthers,
  drainFromBacklog,
  drainInConstantMemory,
  drainWithHeldHorizon,
  enqueueBulk,
  enqueueConcurrent,
  enqueueSequential,
  importCost,
  latency,
  rest,
  saveAndCall,
  startUp,
  waitingMemory,
  writeAheadLog,
}

export type WorkName = keyof typeof WORKS
export type SettingsOf<Name extends WorkName> = Parameters<(typeof WORKS)[Name]>[2]

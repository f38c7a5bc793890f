import type { Side } from '../sides/side'
import { callApart } from './call-apart'
import { callConcurrently } from './call-concurrently'
import { callSequentially } from './call-sequentially'
import { fill } from './fill'
import { rest } from './rest'
import { saveAndCall } from './save-and-call'
import { work } from './work'

/** What a child may say and hear while it takes its step. */
export interface Parent {
  count(count: number): void
  readonly stopped: Promise<void>
}

export type Step<Settings, Result> = (side: Side, settings: Settings, parent: Parent) => Promise<Result>

/** What a side can do in a process of its own, by name. */
export const STEPS = { fill, callSequentially, callConcurrently, callApart, saveAndCall, rest, work }

export type StepName = keyof typeof STEPS
export type StepSettings<Name extends StepName> = Parameters<(typeof STEPS)[Name]>[1]
export type StepResult<Name extends StepName> = Awaited<ReturnType<(typeof STEPS)[Name]>>

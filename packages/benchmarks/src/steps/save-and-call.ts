import { USERS } from '../model/users'
import type { SaveOptions } from '../sides/side'
import type { Step } from './index'

export interface SaveSettings extends SaveOptions {
  readonly saves: number
  readonly warmUp: number
  /** Loops at a time, each waiting for its own save and call. */
  readonly clients: number
}

/** Saves rows and enqueues a job for each. Returns the saves a second, until the last job is with the store. */
export const saveAndCall: Step<SaveSettings, number> = async (side, { saves, warmUp, clients, ...options }) => {
  if (!side.saveAndEnqueue) throw new Error('This side cannot save.')
  let number = USERS
  const save = async (count: number) => {
    let left = count
    const client = async () => {
      while (left-- > 0) await side.saveAndEnqueue?.(++number, options)
    }
    await Promise.all(Array.from({ length: clients }, client))
    await side.settled?.()
  }
  await save(warmUp)
  const start = performance.now()
  await save(saves)
  return saves / ((performance.now() - start) / 1_000)
}

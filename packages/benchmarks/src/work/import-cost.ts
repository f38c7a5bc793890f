import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { ImportCost } from '../processes/import-entry'
import type { Work } from './work'

export interface ImportSettings {
  /** A sub-entry to load beside the main one. */
  readonly entry?: string
}

/** What loading the library costs a process that only enqueues, beside TypeORM itself. */
export const importCost: Work<ImportSettings> = (_side, place, { entry }) =>
  new Promise((resolve, reject) => {
    const child = fork(join(__dirname, '../processes/import-entry.js'), entry ? [entry] : [], {
      execPath: place.node,
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.once('message', (cost: ImportCost) => resolve({ ...cost }))
    child.once('exit', () => reject(new Error('The process ended before it had told.')))
  })

import { hostname } from 'node:os'
import { LONGEST_NAME } from '../../../database/column-types'

/** This process, for whoever looks at the list of workers. */
export function workerName(): string {
  return `${hostname()}:${process.pid}`.slice(-LONGEST_NAME)
}

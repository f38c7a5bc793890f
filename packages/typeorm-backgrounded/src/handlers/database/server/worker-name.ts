import { hostname } from 'node:os'
import { LONGEST_NAME } from '../../../database/column-types'

/** Names this process for people who read the table of workers. */
export function workerName(): string {
  return `${hostname()}:${process.pid}`.slice(-LONGEST_NAME)
}

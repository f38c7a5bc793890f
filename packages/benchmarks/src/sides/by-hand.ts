import type { Repository } from 'typeorm'
import type { BenchUser } from '../model/bench-user'
import { NO_ROW, type ManyOptions, type Ran } from './side'

/** What a job holds that is written by hand. */
export interface Data {
  /** Absent from a job that loads nothing. */
  readonly id?: number
  readonly text?: string
}

export function dataOf(id: number, { text, isEmpty = false }: ManyOptions = {}): Data {
  if (isEmpty) return {}
  return text ? { id, text } : { id }
}

/** The processor by hand. */
export async function reloadAndRun({ id }: Data, repository: Repository<BenchUser>, ran: Ran): Promise<void> {
  if (id === undefined) {
    ran(NO_ROW)
    return
  }
  const user = await repository.findOneBy({ id })
  if (user) ran(user.id)
}

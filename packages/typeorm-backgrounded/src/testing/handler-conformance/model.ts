import { EntitySchema } from 'typeorm'
import { Backgrounded } from '../../metadata/decorators'
import { DiscardJob, SnoozeJob } from '../../worker/outcomes'

/** What the methods of the suite's entity have done, in order. */
export const runs: { method: string; id: number; title: string; args: unknown[]; row: object }[] = []

/** Set by a case that wants to hold a running method. */
export const gate = { wait: (): Promise<void> => Promise.resolve() }

/** The suite's entity: a row with a title, and methods that note what they saw. */
export class ConformanceRecord {
  id!: number
  title!: string

  note(...args: unknown[]): void {
    runs.push({ method: 'note', id: this.id, title: this.title, args, row: this })
  }

  failOnce(): void {
    const isFirst = !runs.some(({ method, id }) => method === 'failOnce' && id === this.id)
    runs.push({ method: 'failOnce', id: this.id, title: this.title, args: [], row: this })
    if (isFirst) throw new Error('the first attempt fails')
  }

  failAlways(): void {
    runs.push({ method: 'failAlways', id: this.id, title: this.title, args: [], row: this })
    throw new Error('every attempt fails')
  }

  discard(): void {
    throw new DiscardJob('not wanted any more')
  }

  snooze(): void {
    throw new SnoozeJob('1h', 'too early')
  }

  async hold(): Promise<void> {
    runs.push({ method: 'hold', id: this.id, title: this.title, args: [], row: this })
    await gate.wait()
  }

  unmarked(): void {
    runs.push({ method: 'unmarked', id: this.id, title: this.title, args: [], row: this })
  }

  static sweep(...args: unknown[]): void {
    runs.push({ method: 'sweep', id: 0, title: '', args, row: this })
  }
}

Backgrounded('note', 'discard', 'snooze', 'hold')(ConformanceRecord)
Backgrounded('failOnce', { backoff: 0 })(ConformanceRecord)
Backgrounded('failAlways', { attempts: 2, backoff: 0 })(ConformanceRecord)
const sweep = Object.getOwnPropertyDescriptor(ConformanceRecord, 'sweep') as TypedPropertyDescriptor<
  typeof ConformanceRecord.sweep
>
Backgrounded()(ConformanceRecord, 'sweep', sweep)

export const conformanceEntity = new EntitySchema<ConformanceRecord>({
  name: 'ConformanceRecord',
  target: ConformanceRecord,
  tableName: 'conformance_record',
  columns: { id: { type: Number, primary: true, generated: true }, title: { type: String } },
})

import { EntitySchema } from 'typeorm'
import { Backgrounded } from '../../metadata/decorators'
import { currentJob, type CurrentJob } from '../../worker/job-context'
import { DiscardJob, SnoozeJob } from '../../worker/discard-and-snooze'

/** What a method of the suite's entity saw when it ran. */
export interface Run {
  readonly method: string
  readonly id: number
  readonly title: string
  readonly args: unknown[]
  readonly row: object
  readonly job: CurrentJob
}

/** All runs of the suite's entity in this case, in order. */
export const runs: Run[] = []

/** What `act` does, set by the case. */
export const script: { act: (run: Run) => unknown } = { act: () => {} }

/** The suite's entity: a row with a title, and methods that record what they saw. */
export class ConformanceRecord {
  id!: number
  title!: string

  note(...args: unknown[]): void {
    saw(this, 'note', args)
  }

  failOnce(): void {
    const isFirst = !runs.some(({ method, id }) => method === 'failOnce' && id === this.id)
    saw(this, 'failOnce')
    if (isFirst) throw new Error('the first attempt fails')
  }

  failAlways(): void {
    saw(this, 'failAlways')
    throw new Error('every attempt fails')
  }

  failSlowly(): void {
    saw(this, 'failSlowly')
    throw new Error('the next attempt is far away')
  }

  discard(): void {
    throw new DiscardJob('not wanted any more')
  }

  snooze(): void {
    throw new SnoozeJob('1h', 'too early')
  }

  async act(...args: unknown[]): Promise<void> {
    await script.act(saw(this, 'act', args))
  }

  noteOrFail(): void {
    saw(this, 'noteOrFail')
  }

  noteOrRetry(): void {
    saw(this, 'noteOrRetry')
  }

  unmarked(): void {
    saw(this, 'unmarked')
  }

  static sweep(...args: unknown[]): void {
    runs.push({ method: 'sweep', id: 0, title: '', args, row: this, job: currentJob() })
  }
}

function saw(row: ConformanceRecord, method: string, args: unknown[] = []): Run {
  const run = { method, id: row.id, title: row.title, args, row, job: currentJob() }
  runs.push(run)
  return run
}

Backgrounded('note', 'discard', 'snooze')(ConformanceRecord)
Backgrounded('failOnce', 'act', { backoff: 0 })(ConformanceRecord)
Backgrounded('failAlways', { attempts: 2, backoff: 0 })(ConformanceRecord)
Backgrounded('failSlowly', { backoff: '1h' })(ConformanceRecord)
Backgrounded('noteOrFail', { onMissing: 'fail' })(ConformanceRecord)
Backgrounded('noteOrRetry', { onMissing: 'retry', attempts: 2, backoff: 0 })(ConformanceRecord)
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

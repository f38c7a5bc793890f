import type { DataSource, EntityManager, QueryRunner } from 'typeorm'
import {
  backgroundedEvents,
  BackgroundedError,
  currentJob,
  currentJobOrUndefined,
  DiscardJob,
  drain,
  resolve,
  settled,
  SnoozeJob,
  type CurrentJob,
} from 'typeorm-backgrounded'
import {
  assertEnqueued,
  assertNotEnqueued,
  FakeHandler,
  insideTestTransaction,
  runAsJob,
} from 'typeorm-backgrounded/testing'
import { same } from './expect'
import { Album, User } from './model'

declare const dataSource: DataSource
declare const queryRunner: QueryRunner

class Mailer {
  send(to: string): void {
    void to
  }
}

export async function insideAJob(): Promise<void> {
  const job = currentJob()
  same<typeof job, CurrentJob>()
  same<ReturnType<typeof currentJobOrUndefined>, CurrentJob | undefined>()
  same<typeof job.manager, EntityManager>()
  same<typeof job.signal, AbortSignal>()
  same<typeof job.enqueuedAt, Date>()
  same<typeof job.attempt | typeof job.attempts, number>()
  job.progress({ done: 5 })
  job.log.info({ step: 1 }, 'halfway')
  resolve<Mailer>(Mailer).send('ann@example.com')
  if (job.attempt > 3) throw new DiscardJob('gave up')
  // @ts-expect-error no duration
  throw new SnoozeJob('soon')
}

export function events(): void {
  const emitter = backgroundedEvents(dataSource)
  emitter.on('enqueued', ({ job }) => void job.id.length)
  emitter.on('retried', ({ job, error, delay }) => void [job.attempt.toFixed(), error, delay.toFixed()])
  emitter.once('discarded', ({ reason }) => void reason.length)
  emitter.on('completed', ({ duration }) => void duration.toFixed())
  // @ts-expect-error an unknown event
  emitter.on('finished', () => {})
  // @ts-expect-error this event has no delay
  emitter.on('failed', ({ delay }) => void delay)
}

export async function testing(): Promise<void> {
  const handler = new FakeHandler()
  void handler.jobs[0]?.args.length
  assertEnqueued(User, 'sendWelcome', { key: 5, args: ['spring'] })
  assertEnqueued(Album, 'rebuildIndex')
  assertNotEnqueued(Album, 'rename')
  // @ts-expect-error an unknown method
  assertEnqueued(User, 'nope')
  // @ts-expect-error a column
  assertEnqueued(User, 'email')
  // @ts-expect-error arguments are a list
  assertEnqueued(User, 'sendWelcome', { args: 'spring' })

  insideTestTransaction(queryRunner)
  same<typeof seven, number>()
  const seven = runAsJob(() => 7, { attempt: 2 })
  const counts = await drain(dataSource, { throwOnFailure: true })
  same<typeof counts.completed, number>()
  await settled(dataSource)
  const code = (error: BackgroundedError): string => error.code
  void code
}

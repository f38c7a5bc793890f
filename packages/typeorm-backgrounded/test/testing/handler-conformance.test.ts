import { expect } from 'chai'
import type { ClaimedJob, EnqueueResult, Handler, JobEnvelope, Outcome } from '../../src'
import { handlerConformance, type ConformanceOptions } from '../../src/testing'
import { InMemoryHandler } from '../handlers/in-memory-handler'
import { inMemory } from '../support/data-sources'

type WaitingJob = ClaimedJob & { dueAt: number }

/** The titles and cases that a test runner with only `describe` and `it` receives. */
function declared(handler: () => Handler, more: Partial<ConformanceOptions> = {}) {
  const titles: string[] = []
  const cases = new Map<string, () => Promise<void>>()
  handlerConformance({
    describe: (title, body) => {
      titles.push(title)
      body()
    },
    it: (title, body) => void cases.set(title, body),
    handler,
    dataSource: inMemory,
    ...more,
  })
  return { title: titles[0] as string, cases }
}

/** Handlers with one fault each, and a case that must notice it. */
const faults: { fault: string; handler: () => Handler; noticedBy: RegExp }[] = [
  {
    fault: 'forgets delays',
    handler: () =>
      new (class extends InMemoryHandler {
        override enqueue(jobs: readonly JobEnvelope[]) {
          return super.enqueue(jobs.map((job) => ({ ...job, delay: undefined, runAt: job.enqueuedAt })))
        }
      })(),
    noticedBy: /^holds a delayed job back until it is due/,
  },
  {
    fault: 'claims more than there are slots',
    handler: () =>
      new (class extends InMemoryHandler {
        override claim(slots: number, queue?: string) {
          return super.claim(slots + 1, queue)
        }
      })(),
    noticedBy: /^claims no more jobs than there are free slots/,
  },
  {
    fault: 'gives a job of any queue to every worker',
    handler: () =>
      new (class extends InMemoryHandler {
        override claim(slots: number) {
          return super.claim(slots)
        }
      })(),
    noticedBy: /^works on the given queues only/,
  },
  {
    fault: 'takes queue names as MariaDB compares them',
    handler: () =>
      new (class extends InMemoryHandler {
        override enqueue(jobs: readonly JobEnvelope[]) {
          return super.enqueue(jobs.map((job) => ({ ...job, queue: job.queue.toLowerCase() })))
        }
      })(),
    noticedBy: /^treats queue names that differ only in case or accents/,
  },
  {
    fault: 'counts a snooze as an attempt',
    handler: () =>
      new (class extends InMemoryHandler {
        override apply(job: WaitingJob, outcome: Outcome) {
          super.apply(outcome.state === 'released' ? { ...job, attempt: job.attempt + 1 } : job, outcome)
        }
      })(),
    noticedBy: /^runs a snoozed job again once it is due, as the same attempt/,
  },
  {
    fault: 'loses what is released',
    handler: () =>
      new (class extends InMemoryHandler {
        override apply(job: WaitingJob, outcome: Outcome) {
          if (outcome.state !== 'released') super.apply(job, outcome)
        }
      })(),
    noticedBy: /^releases a job whose method gives up because the worker stops/,
  },
  {
    fault: 'runs a completed job again',
    handler: () =>
      new (class extends InMemoryHandler {
        override apply(job: WaitingJob, outcome: Outcome) {
          super.apply(job, outcome.state === 'completed' && job.attempt === 1 ? retried : outcome)
        }
      })(),
    noticedBy: /^runs the method on the row as it is when the job runs/,
  },
  {
    fault: 'cuts long text short',
    handler: () =>
      new (class extends InMemoryHandler {
        override enqueue(jobs: readonly JobEnvelope[]) {
          return super.enqueue(jobs.map((job) => ({ ...job, args: job.args.map(cutShort) })))
        }
      })(),
    noticedBy: /^keeps arguments of 1 MB unchanged/,
  },
  {
    fault: 'refuses the neighbours of a job that is too large',
    handler: () =>
      new (class extends InMemoryHandler {
        override async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
          if (JSON.stringify(jobs).length < 4_000_000) return super.enqueue(jobs)
          return jobs.map(() => ({ state: 'failed', error: new Error('too large') }))
        }
      })(),
    noticedBy: /^answers for each job of a write/,
  },
]

const retried: Outcome = { state: 'retried', delay: 0, error: undefined }
const cutShort = (value: JobEnvelope['args'][number]) => (typeof value === 'string' ? value.slice(0, 65_535) : value)

describe('handlerConformance', () => {
  it('needs only describe and it, and says how many cases it has', () => {
    const { title, cases } = declared(() => new InMemoryHandler())
    expect(title).to.match(new RegExp(`^in memory: handler conformance \\(${cases.size} cases, \\d+ skipped\\)$`))
    expect(cases.size).to.be.above(50)
  })

  it('skips with a reason', () => {
    const skipped: string[] = []
    const it = Object.assign(() => {}, { skip: (title: string) => void skipped.push(title) })
    const { title } = declared(() => new InMemoryHandler(), { it })
    expect(title).to.include(`, ${skipped.length} skipped)`)
    for (const each of skipped) expect(each).to.match(/ \(skipped: \w.+\)$/)
  })

  it('has a different title for each case', () => {
    const titles: string[] = []
    const it = Object.assign((title: string) => void titles.push(title), {
      skip: (title: string) => void titles.push(title),
    })
    declared(() => new InMemoryHandler(), { it })
    expect(new Set(titles).size).to.equal(titles.length)
  })

  it('has cases about dead workers if forgetWorkers is given', () => {
    const able = declared(() => new InMemoryHandler(), { forgetWorkers: () => Promise.resolve() })
    const without = declared(() => new InMemoryHandler())
    expect(able.cases.size).to.be.above(without.cases.size)
  })

  for (const { fault, handler, noticedBy } of faults) {
    it(`notices a handler that ${fault}`, async () => {
      const { cases } = declared(handler)
      const [, run] = [...cases].find(([title]) => noticedBy.test(title)) ?? expect.fail(`no case ${noticedBy}`)
      let error: unknown
      await run().catch((caught: unknown) => (error = caught))
      expect(error).to.be.instanceOf(Error)
    })
  }
})

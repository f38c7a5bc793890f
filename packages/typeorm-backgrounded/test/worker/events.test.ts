import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  DiscardJob,
  drain,
  reference,
  settled,
  SnoozeJob,
  SynchronousHandler,
  withBackgrounded,
  type BackgroundedEventMap,
  type Handler,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile } from '../support/data-sources'

const NAMES = [
  'enqueued',
  'enqueueFailed',
  'started',
  'completed',
  'retried',
  'failed',
  'discarded',
  'released',
] as const

@Entity()
class Bell {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() ring(): void {}
  @Backgrounded({ attempts: 2, backoff: 0 }) crack(): void {
    throw new Error('cracked')
  }
  @Backgrounded() refuse(): void {
    throw new DiscardJob('no bell')
  }
  @Backgrounded() snooze(): void {
    throw new SnoozeJob('1h', 'night')
  }
}

interface Seen {
  name: string
  event: Record<string, unknown> & { job: Record<string, unknown> }
}

const handlers: Record<string, () => Handler> = {
  FakeHandler: () => new FakeHandler(),
  DatabaseHandler: () => new DatabaseHandler(),
}

for (const [handlerName, make] of Object.entries(handlers)) {
  describe(`the events of a job: ${handlerName}`, () => {
    let dataSource: DataSource
    let bell: Bell
    const seen: Seen[] = []
    const logged: [object, string][] = []
    const log = (fields: object, message: string) => void logged.push([fields, message])

    beforeEach(async () => {
      seen.length = logged.length = 0
      dataSource = withBackgrounded(inFile([Bell]), {
        handler: make(),
        logger: { debug: log, info: log, warn: log, error: log },
      })
      await dataSource.initialize()
      bell = await dataSource.manager.save(new Bell())
      for (const name of NAMES) {
        backgroundedEvents(dataSource).on(name, (event: BackgroundedEventMap[typeof name][0]) =>
          seen.push({ name, event: event as never }),
        )
      }
    })
    afterEach(() => dataSource.destroy())
    const names = () => seen.map(({ name }) => name)

    it('that succeeds: enqueued, started, completed', async () => {
      const { id } = await backgrounded(bell).ring()
      await drain(dataSource)
      expect(names()).to.deep.equal(['enqueued', 'started', 'completed'])
      for (const { event } of seen) {
        expect(event.job).to.deep.include({
          id,
          entity: 'Bell',
          method: 'ring',
          queue: 'default',
          key: { id: bell.id },
        })
      }
      expect(seen[1]?.event.job).to.include({ attempt: 1, attempts: 10 })
      expect(seen[2]?.event.duration).to.be.a('number').that.is.at.least(0)
    })

    it('that fails: started and retried for each attempt, then failed', async () => {
      await backgrounded(bell).crack()
      await drain(dataSource)
      expect(names()).to.deep.equal(['enqueued', 'started', 'retried', 'started', 'failed'])
      expect(seen[2]?.event).to.include({ delay: 0 })
      expect((seen[2]?.event.error as Error).message).to.equal('cracked')
      expect((seen[4]?.event.error as Error).message).to.equal('cracked')
      expect(seen[4]?.event.job).to.include({ attempt: 2, attempts: 2 })
    })

    it('that discards itself, or snoozes', async () => {
      await backgrounded(bell).refuse()
      await drain(dataSource)
      await backgrounded(bell).snooze()
      await drain(dataSource)
      expect(names()).to.deep.equal(['enqueued', 'started', 'discarded', 'enqueued', 'started', 'released'])
      expect(seen[2]?.event.reason).to.equal('no bell')
      expect(seen[5]?.event).to.include({ reason: 'night', delay: 3_600_000 })
    })

    it('whose row is gone: it never starts', async () => {
      await backgrounded(reference(Bell, 999)).ring()
      await drain(dataSource)
      expect(names()).to.deep.equal(['enqueued', 'discarded'])
    })

    it('in a transaction: enqueued after the commit, nothing after a rollback', async () => {
      await dataSource.transaction(async (manager) => {
        await backgrounded(bell, { manager }).ring()
        expect(names()).to.deep.equal([])
      })
      await settled(dataSource)
      expect(names()).to.deep.equal(['enqueued'])
      await dataSource
        .transaction(async (manager) => {
          await backgrounded(bell, { manager }).ring()
          throw new Error('roll back')
        })
        .catch(() => {})
      await settled(dataSource)
      expect(names()).to.deep.equal(['enqueued'])
    })

    it('go on if a listener throws: the job, the other listeners and the log see everything', async () => {
      const events = backgroundedEvents(dataSource)
      for (const name of NAMES) {
        events.prependListener(name, () => {
          throw new Error(`listener of ${name}`)
        })
      }
      await backgrounded(bell).ring()
      expect(await drain(dataSource)).to.include({ completed: 1 })
      const complaints = logged.filter(([, message]) => message.includes('a listener of backgroundedEvents threw'))
      expect(complaints.map(([fields]) => (fields as { event: string }).event)).to.deep.equal([
        'enqueued',
        'started',
        'completed',
      ])
      expect(names(), 'the other listeners').to.deep.equal(['enqueued', 'started', 'completed'])
    })

    it('go on if an asynchronous listener rejects, which does not end the process', async () => {
      const unhandled: unknown[] = []
      const others = process.listeners('unhandledRejection')
      process.removeAllListeners('unhandledRejection')
      process.on('unhandledRejection', (error) => unhandled.push(error))
      try {
        backgroundedEvents(dataSource).on('completed', async () => {
          await Promise.resolve()
          throw new Error('rejecting listener')
        })
        await backgrounded(bell).ring()
        expect(await drain(dataSource)).to.include({ completed: 1 })
        await new Promise((done) => setImmediate(done))
        expect(unhandled).to.deep.equal([])
        expect(logged.map(([, message]) => message)).to.include('a listener of backgroundedEvents threw')
      } finally {
        process.removeAllListeners('unhandledRejection')
        for (const other of others) process.on('unhandledRejection', other)
      }
    })

    it('survive destroy() and initialize()', async () => {
      const events = backgroundedEvents(dataSource)
      await dataSource.destroy()
      await dataSource.initialize()
      expect(backgroundedEvents(dataSource)).to.equal(events)
      await backgrounded(bell).ring()
      await drain(dataSource)
      expect(names()).to.deep.equal(['enqueued', 'started', 'completed'])
    })
  })
}

describe('the events of a synchronous call', () => {
  it('are emitted before the call returns, and an error is the one of failed', async () => {
    const dataSource = withBackgrounded(inFile([Bell]), { handler: new SynchronousHandler() })
    await dataSource.initialize()
    const seen: string[] = []
    for (const name of NAMES) backgroundedEvents(dataSource).on(name, () => seen.push(name))
    const bell = await dataSource.manager.save(new Bell())
    await backgrounded(bell).ring()
    expect(seen).to.include.members(['started', 'completed'])
    seen.length = 0
    await backgrounded(bell)
      .crack()
      .catch(() => {})
    expect(seen).to.deep.equal(['started', 'failed'])
    await dataSource.destroy()
  })

  it('are refused for a data source without the plugin, with the fix', () => {
    expect(() => backgroundedEvents(inFile([Bell])))
      .to.throw(/call withBackgrounded\(dataSource, { handler }\) first/)
      .with.property('code', 'NOT_ATTACHED')
  })
})

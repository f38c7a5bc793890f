import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, backgroundedEvents, NullHandler, settled, withBackgrounded } from '../../src'
import type { EnqueueResult, Handler } from '../../src'
import { inMemory } from '../support/data-sources'

@Entity()
class Postcard {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() send(): void {}
}

const revoked = Proxy.revocable({}, {})
revoked.revoke()
const answers: Record<string, unknown> = {
  'a misspelt state': [{ state: 'enqeued' }],
  'a symbol as the state': [{ state: Symbol('enqueued') }],
  'a result without a state': [{}],
  'no results': [],
  'null as a result': [null],
  'more results than jobs': [{ state: 'enqueued' }, { state: 'enqueued' }],
  nothing: undefined,
  'a revoked proxy as a result': [revoked.proxy],
}

for (const [kind, capabilities] of Object.entries({
  'sends each call': {},
  'sends batches': { batches: true },
  'writes inside of transactions': { transactional: true },
  'runs jobs in its enqueue': { consumes: 'inline' as const },
})) {
  for (const [title, answer] of Object.entries(answers)) {
    describe(`A handler of one's own that ${kind} and answers with ${title}`, () => {
      let dataSource: DataSource
      let postcard: Postcard
      let failures: unknown[]
      let errors: object[]

      beforeEach(async () => {
        failures = []
        errors = []
        const inline = {
          consume: () => ({ concurrency: 1, finished: Promise.resolve(), stop: () => Promise.resolve() }),
        }
        const handler: Handler = {
          name: 'own',
          capabilities: { ...new NullHandler().capabilities, ...capabilities },
          enqueue: () => Promise.resolve(answer as EnqueueResult[]),
          ...inline,
        }
        const logger = { debug() {}, info() {}, warn() {}, error: (fields: object) => void errors.push(fields) }
        dataSource = withBackgrounded(inMemory([Postcard]), { handler, outbox: false, logger })
        await dataSource.initialize()
        backgroundedEvents(dataSource).on('enqueueFailed', ({ error }) => failures.push(error))
        postcard = await dataSource.manager.save(new Postcard())
      })
      afterEach(() => dataSource.destroy())

      const failure = (work: Promise<unknown>) =>
        work.then(
          () => expect.fail('the call was taken'),
          (error: unknown) => error,
        )

      it('has failed to take a call', async () => {
        expect(await failure(backgrounded(postcard).send())).to.have.property('code', 'ENQUEUE_FAILED')
        expect(failures).to.have.length(1)
        expect(errors).to.have.length(1)
      })

      it('has failed to take the calls of a transaction', async () => {
        const call = dataSource.transaction((manager) => backgrounded(postcard, { manager }).send())
        const settling = call.then(() => settled(dataSource))
        expect(await failure(settling)).to.have.property('code', 'ENQUEUE_FAILED')
        expect(failures).to.have.length(1)
        expect(errors).to.have.length(1)
      })
    })
  }
}

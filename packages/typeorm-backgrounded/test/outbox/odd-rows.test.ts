import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, createWorker, withBackgrounded, type EnqueueResult, type JobEnvelope } from '../../src'
import { InMemoryHandler } from '../handlers/in-memory-handler'
import { mariaDb, postgres, sqliteFile } from '../support/stores'
import { until } from '../support/worker-process'

const logger = { debug() {}, info() {}, warn() {}, error() {} }

@Entity()
class Bell {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() static ring(name: string): void {
    rung.push(name)
  }
}
const rung: string[] = []

/** Outside of this process, as far as the outbox is concerned. */
class OutsideHandler extends InMemoryHandler {
  oddAnswer: (() => unknown) | undefined
  override readonly capabilities = { ...new InMemoryHandler().capabilities, inProcess: false }
  override async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    if (jobs.some(({ args }) => args[0] === 'odd') && this.oddAnswer) return this.oddAnswer() as EnqueueResult[]
    return super.enqueue(jobs)
  }
}

const call = { entity: 'Bell', method: 'ring', args: ['odd'] }
const odd = { toString: null }
const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
const PAYLOADS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'delay',
      'queue',
      'priority',
      'runAt',
      'enqueuedAt',
      'meta',
      'attempts',
      'entity',
      'method',
      'key',
      'types',
      'v',
    ].flatMap((member) => [
      [`${member} whose toString is null`, JSON.stringify({ ...call, [member]: odd })],
      [`${member} that is a word`, JSON.stringify({ ...call, [member]: 'x y' })],
      [`${member} that is a list`, JSON.stringify({ ...call, [member]: [[1]] })],
      [`${member} of 1e308`, JSON.stringify({ ...call, [member]: 1e308 })],
      [`${member} that is 50,000 deep`, JSON.stringify({ ...call, [member]: 0 }).replace(/:0/, `:${deep}`)],
    ]),
  ),
  'arguments that are no list': JSON.stringify({ ...call, args: odd }),
  'no object': 'null',
  'no JSON': '{',
  'a list': '[]',
  'an own __proto__': '{"__proto__":{"delay":{"toString":null}},"entity":"Bell","method":"ring"}',
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`odd rows of the outbox, which anybody may have written, on ${store.name}`, () => {
    let dataSource: DataSource
    let handler: OutsideHandler
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
      const created = await store.create([Bell])
      drop = created.drop
      handler = new OutsideHandler()
      dataSource = await withBackgrounded(created.dataSource, { handler, logger }).initialize()
    })
    after(() => drop?.())
    beforeEach(() => void rung.splice(0))

    async function write(payload: string, writtenAt: number): Promise<string> {
      const id = randomUUID()
      const quoted = (text: string) => (store === mariaDb ? `X'${Buffer.from(text).toString('hex')}'` : literal(text))
      await dataSource.query(
        `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) VALUES ('${id}', 'default', ${quoted(payload)}, ${writtenAt}, ${writtenAt})`,
      )
      return id
    }

    it('do not keep the rows behind them from being relayed', async function () {
      this.timeout(60_000)
      let writtenAt = 1
      for (const payload of Object.values(PAYLOADS)) await write(payload, writtenAt++)
      await write(JSON.stringify({ ...call, args: ['good'] }), writtenAt)
      const worker = createWorker(dataSource, { pollInterval: 20 })
      const finished = worker.run()
      await until(() => rung.includes('good'))
      await worker.stop()
      await finished
    })

    const ANSWERS: Readonly<Record<string, () => unknown>> = {
      'throws at once': () => {
        throw Object.create(null) as unknown
      },
      'gives nothing': () => undefined,
      'gives too little': () => [],
      'gives something else': () => [null, 5, { state: Symbol('odd') }],
    }
    for (const [title, answer] of Object.entries(ANSWERS)) {
      it(`are relayed even if the handler ${title} for one of them`, async () => {
        await dataSource.query('DELETE FROM backgrounded_outbox')
        handler.oddAnswer = answer
        await write(JSON.stringify(call), 1)
        await write(JSON.stringify({ ...call, args: ['good'] }), 2)
        const worker = createWorker(dataSource, { pollInterval: 20 })
        const finished = worker.run()
        await until(() => rung.includes('good'), 8_000)
        await worker.stop()
        await finished
        handler.oddAnswer = undefined
        expect(rung).to.deep.equal(['good'])
      })
    }
  })
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

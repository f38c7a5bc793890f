import { symlinkSync } from 'node:fs'
import { expect } from 'chai'
import { Column, DataSource, type DataSourceOptions, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, backgroundedEvents, createWorker, drain, withBackgrounded } from '../../src'
import { BackgroundedJob, DatabaseHandler } from '../../src/handlers/database'
import { inFile, temporaryFile } from '../support/data-sources'

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string
  @Backgrounded() post(_text?: string): void {}
  @Backgrounded() async carry(): Promise<void> {
    await road
  }
}

let road: Promise<void>

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  )

describe('DatabaseHandler on SQLite', () => {
  it('says what to do if its table is missing, inside a transaction and outside', async () => {
    const dataSource = withBackgrounded(inFile([Letter]), { handler: new DatabaseHandler() })
    await dataSource.initialize()
    const letter = await dataSource.manager.save(new Letter())
    await dataSource.query('DROP TABLE backgrounded_jobs')
    expect(await codeOf(backgrounded(letter).post())).to.equal('MISSING_TABLE')
    const failure = await dataSource
      .transaction(() => backgrounded(letter).post())
      .catch((error: unknown) => error as { code: string; cause: { code: string } })
    expect(failure).to.have.property('code', 'ENQUEUE_FAILED')
    expect(failure).to.have.nested.property('cause.code', 'MISSING_TABLE')
    await dataSource.destroy()
  })

  it('creates tables that a second synchronize does not change', async () => {
    const dataSource = withBackgrounded(inFile([Letter]), { handler: new DatabaseHandler() })
    await dataSource.initialize()
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
    expect(upQueries.map(({ query }) => query)).to.deep.equal([])
    await dataSource.destroy()
  })

  it('has one table if one options object is used for two data sources', async () => {
    const options: DataSourceOptions = {
      type: 'better-sqlite3',
      database: ':memory:',
      entities: [Letter],
      synchronize: true,
    }
    for (let round = 0; round < 2; round++) {
      const dataSource = withBackgrounded(new DataSource(options), { handler: new DatabaseHandler() })
      await dataSource.initialize()
      await dataSource.destroy()
      await dataSource.initialize()
      expect(dataSource.entityMetadatas.filter(({ target }) => target === BackgroundedJob)).to.have.length(1)
      await dataSource.destroy()
    }
  })

  it('refuses another database at start-up', async () => {
    const dataSource = { options: { type: 'oracle' } }
    expect(() => new DatabaseHandler().attach({ dataSource } as never)).to.throw(
      /works with better-sqlite3, postgres, mariadb, mysql, and this data source is oracle/,
    )
  })

  it('refuses a call that is too large for a row, and takes the calls beside it', async () => {
    const dataSource = await withBackgrounded(inFile([Letter]), { handler: new DatabaseHandler() }).initialize()
    const letter = await dataSource.manager.save(new Letter())
    const [small, large, megabyte] = await Promise.all([
      codeOf(backgrounded(letter).post('x')),
      codeOf(backgrounded(letter).post('x'.repeat(5_000_000))),
      codeOf(backgrounded(letter).post('x'.repeat(1_000_000))),
    ])
    expect([small, large, megabyte]).to.deep.equal([undefined, 'PAYLOAD_TOO_LARGE', undefined])
    expect(await dataSource.manager.count(BackgroundedJob)).to.equal(2)
    await dataSource.destroy()
  })

  it('never blocks the event loop while another connection writes', async () => {
    const file = temporaryFile()
    const dataSource = await withBackgrounded(inFile([Letter], file), { handler: new DatabaseHandler() }).initialize()
    const other = await inFile([], file).initialize()
    const letter = await dataSource.manager.save(new Letter())
    await other.query('BEGIN IMMEDIATE')
    let longest = 0
    let last = performance.now()
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 5)
    const call = backgrounded(letter).post()
    setTimeout(() => void other.query('COMMIT'), 500)
    expect((await call).state).to.equal('enqueued')
    clearInterval(watch)
    expect(longest).to.be.lessThan(200)
    await Promise.all([dataSource.destroy(), other.destroy()])
  })

  it('wakes a worker of its own process for a call outside of any transaction', async () => {
    const dataSource = withBackgrounded(inFile([Letter]), { handler: new DatabaseHandler() })
    await dataSource.initialize()
    const letter = await dataSource.manager.save(new Letter())
    const worker = createWorker(dataSource, { pollInterval: 60_000 })
    const completed = new Promise((resolve) => backgroundedEvents(dataSource).on('completed', resolve))
    const finished = worker.run()
    await worker.ready
    await backgrounded(letter).post()
    await completed
    await worker.stop()
    await finished
    await dataSource.destroy()
  })

  it('runs the next job whose worker died as soon as one has ended, whatever the poll interval', async function () {
    this.timeout(4_000) // it looks around every 5 s
    const dataSource = withBackgrounded(inFile([Letter]), { handler: new DatabaseHandler() })
    await dataSource.initialize()
    const { id } = await dataSource.manager.save(new Letter())
    const values = Array.from({ length: 3 }, () => `('Letter', 'post', '{"id":${id}}', 1, 1)`).join(', ')
    await dataSource.query(`INSERT INTO backgrounded_jobs (entity, method, key, suspect, attempt) VALUES ${values}`)
    const worker = createWorker(dataSource, { pollInterval: 60_000, concurrency: 2 })
    let completed = 0
    const all = new Promise<void>((resolve) =>
      backgroundedEvents(dataSource).on('completed', () => ++completed === 3 && resolve()),
    )
    const finished = worker.run()
    await all
    await worker.stop()
    await finished
    await dataSource.destroy()
  })

  it('sees that a worker is alive that opened the file by another link', async () => {
    const file = temporaryFile()
    const link = temporaryFile()
    const attached = (path: string) => withBackgrounded(inFile([Letter], path), { handler: new DatabaseHandler() })
    const first = await attached(file).initialize()
    symlinkSync(file, link)
    const second = await attached(link).initialize()
    const letter = await first.manager.save(new Letter())
    let end!: () => void
    road = new Promise((resolve) => (end = resolve))
    await backgrounded(letter, { manager: first.manager }).carry()
    const worker = createWorker(first)
    const finished = worker.run()
    await new Promise((resolve) => backgroundedEvents(first).on('started', resolve))
    expect(await drain(second)).to.include({ completed: 0, retried: 0 })
    expect(await second.manager.find(BackgroundedJob)).to.have.nested.property('[0].suspect', 0)
    end()
    await worker.stop()
    await finished
    await Promise.all([first.destroy(), second.destroy()])
  })

  it('keeps completed jobs for keepCompleted', async () => {
    const dataSource = await withBackgrounded(inFile([Letter]), {
      handler: new DatabaseHandler(),
      keepCompleted: '1d',
    }).initialize()
    await backgrounded(await dataSource.manager.save(new Letter())).post()
    await drain(dataSource)
    expect((await dataSource.manager.find(BackgroundedJob)).map(({ state }) => state)).to.deep.equal(['completed'])
    await dataSource.destroy()
  })
})

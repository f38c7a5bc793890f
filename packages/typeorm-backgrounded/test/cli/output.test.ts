import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataSource } from 'typeorm'
import { DatabaseHandler } from '../../src/handlers/database'
import { run } from '../support/command-line'
import { temporaryDirectory } from '../support/data-sources'
import { requireRedis } from '../support/redis'
import { until, WorkerProcess } from '../support/worker-process'

const library = join(__dirname, '../../src')

/** Writes a data source file of an application, as its build would leave it. */
function dataSourceFile({
  options = { type: 'better-sqlite3', database: join(temporaryDirectory(), 'app.sqlite') } as object,
  handler = 'new DatabaseHandler()',
  body = '',
}): string {
  const file = join(temporaryDirectory(), 'data-source.js')
  writeFileSync(
    file,
    `
    const { DataSource, EntitySchema } = require(${JSON.stringify(require.resolve('typeorm'))})
    const { Backgrounded, withBackgrounded } = require(${JSON.stringify(library)})
    const { DatabaseHandler } = require(${JSON.stringify(join(library, 'handlers/database'))})
    const { BullHandler } = require(${JSON.stringify(join(library, 'handlers/bull'))})
    class User {
      static work() { ${body} }
      static end() { console.log('ENDED') }
    }
    Backgrounded({ attempts: 1 })(User, 'work', Object.getOwnPropertyDescriptor(User, 'work'))
    Backgrounded({ attempts: 1 })(User, 'end', Object.getOwnPropertyDescriptor(User, 'end'))
    const user = new EntitySchema({ name: 'User', target: User, columns: { id: { type: Number, primary: true } } })
    exports.dataSource = withBackgrounded(
      new DataSource({ ...${JSON.stringify(options)}, entities: [user] }),
      { handler: ${handler}, outbox: ${handler.includes('Bull') ? 'false' : 'undefined'} },
    )
    `,
  )
  return file
}

describe('the output of the command line', function () {
  this.timeout(60_000)
  let worker: WorkerProcess | undefined
  afterEach(() => worker?.end())

  it('shows no password when Redis refuses it', async function () {
    await requireRedis(this)
    const handler = `new BullHandler({ redis: 'redis://nobody:hunter2@127.0.0.1:6379' })`
    worker = new WorkerProcess(dataSourceFile({ handler }), { LOG_LEVEL: 'trace' })
    await until(
      () => /WRONGPASS|NOAUTH/.test(worker?.output ?? ''),
      20_000,
      () => worker?.output ?? '',
    )
    await worker.end()
    expect(worker.output).not.to.include('hunter2')
  })

  const urls = [
    'redis//me:hunter2@127.0.0.1:6379',
    'redis:me:hunter2@127.0.0.1:6379',
    'http://me:hunter2@127.0.0.1:6379',
    'me:hunter2@127.0.0.1:6379',
    'redis://me:hunter2@127.0.0.1:port',
    'redis://me:hunter2/x@127.0.0.1:6379',
    'redis://me:hunter2#x@127.0.0.1:6379',
    'redis://me:hunter2 x@127.0.0.1:6379',
    'redis://me:hunter2@127.0.0.1:6379/none',
    ' redis://me:hunter2@[::1:6379',
    '"redis://me:hunter2@127.0.0.1:6379"',
  ]
  it('shows no password if a Redis URL is malformed', async () => {
    const ends = urls.map(async (url) => {
      const handler = `new BullHandler({ redis: ${JSON.stringify(url)} })`
      const { code, stdout, stderr } = await run(['worker', '--once', '-d', dataSourceFile({ handler })])
      expect(code, url).to.equal(1)
      expect(stderr + stdout)
        .not.to.equal('')
        .and.not.include('hunter2')
    })
    await Promise.all(ends)
  })

  it('shows no password if a database cannot be reached, or its URL is malformed', async () => {
    const ends = ['postgres', 'mysql'].flatMap((type) =>
      [
        `${type}://me:hunter2@127.0.0.1:1/db`,
        `${type}//me:hunter2@127.0.0.1:1/db`,
        `${type}://me:hunter2/x@127.0.0.1:1/db`,
        'me:hunter2@127.0.0.1:1/db',
      ].map(async (url) => {
        const file = dataSourceFile({ options: { type, url } })
        for (const args of [
          ['worker', '--once', '-d', file],
          ['schema', '-d', file],
        ]) {
          const { code, stdout, stderr } = await run(args)
          expect(code, stdout + stderr).to.equal(1)
          expect(stderr + stdout)
            .not.to.equal('')
            .and.not.include('hunter2')
        }
      }),
    )
    await Promise.all(ends)
  })

  it('goes on after an error that pino cannot print', async () => {
    const database = join(temporaryDirectory(), 'app.sqlite')
    const options = { type: 'better-sqlite3', database }
    const tables = new DataSource({
      type: 'better-sqlite3',
      database,
      synchronize: true,
      entities: new DatabaseHandler().entities('better-sqlite3'),
    })
    await tables.initialize()
    for (const method of ['work', 'work', 'end']) {
      await tables.query(`INSERT INTO backgrounded_jobs (entity, method) VALUES ('User', ?)`, [method])
    }
    worker = new WorkerProcess(dataSourceFile({ options, body: `throw Object.freeze(new Error('frozen'))` }), {})
    try {
      await until(
        () => worker?.output.match(/failed for good/g)?.length === 2 && worker.output.includes('ENDED'),
        20_000,
        () => worker?.output ?? '',
      )
      await until(async () => {
        const rows = (await tables.query('SELECT state FROM backgrounded_jobs')) as { state: string }[]
        return rows.map(({ state }) => state).join() === 'failed,failed'
      })
    } finally {
      await tables.destroy()
    }
    expect(worker.output).to.include('Error: frozen').and.not.include('cannot be reached')
  })
})

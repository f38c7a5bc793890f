import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataSource } from 'typeorm'
import { DatabaseHandler } from '../../src/handlers/database'
import { run } from '../support/command-line'
import { temporaryDirectory } from '../support/data-sources'

const library = join(__dirname, '../../src')

/** A program's own data source file, as its build would leave it. */
function dataSourceFile({
  database = ':memory:',
  attach = true,
  handler = 'new DatabaseHandler()',
  extra = '',
}): string {
  const file = join(temporaryDirectory(), 'data-source.js')
  const made =
    `new DataSource({ type: 'better-sqlite3', database: ${JSON.stringify(database)}, ` +
    `entities: [user], synchronize: true, dropSchema: ${JSON.stringify(database !== ':memory:')} })`
  writeFileSync(
    file,
    `
    const { DataSource, EntitySchema } = require(${JSON.stringify(require.resolve('typeorm'))})
    const { Backgrounded, withBackgrounded, SynchronousHandler, NullHandler } = require(${JSON.stringify(library)})
    const { DatabaseHandler } = require(${JSON.stringify(join(library, 'handlers/database'))})
    class User {
      greet(word) { console.log('GREETED ' + this.name + ' ' + word) }
      fail() { throw new Error('cannot greet') }
    }
    Backgrounded('greet', { attempts: 1 })(User)
    Backgrounded('fail', { attempts: 1 })(User)
    const user = new EntitySchema({
      name: 'User', target: User,
      columns: { id: { type: Number, primary: true, generated: true }, name: { type: String } },
    })
    ${extra}
    exports.dataSource = ${attach ? `withBackgrounded(${made}, { handler: ${handler} })` : made}
    `,
  )
  return file
}

/** A SQLite file with the tables of the program, and its users. */
async function databaseFile(tables: 'all' | 'no job table' = 'all'): Promise<string> {
  const file = join(temporaryDirectory(), 'app.sqlite')
  const entities = tables === 'all' ? new DatabaseHandler().entities('better-sqlite3') : []
  const dataSource = await new DataSource({
    type: 'better-sqlite3',
    database: file,
    entities,
    synchronize: true,
  }).initialize()
  await dataSource.query('CREATE TABLE user (id integer PRIMARY KEY AUTOINCREMENT, name varchar NOT NULL)')
  await dataSource.query(`INSERT INTO user (name) VALUES ('Ada')`)
  await dataSource.destroy()
  return file
}

async function query(file: string, ...sql: string[]): Promise<Record<string, unknown>[]> {
  const dataSource = await new DataSource({ type: 'better-sqlite3', database: file }).initialize()
  let rows: Record<string, unknown>[] = []
  for (const each of sql) rows = (await dataSource.query(each)) as Record<string, unknown>[]
  await dataSource.destroy()
  return rows
}

const job = (method: string, args: unknown[] = []) =>
  `INSERT INTO backgrounded_jobs (entity, key, method, args) VALUES ('User', '{"id":1}', '${method}', '${JSON.stringify(args)}')`

describe('the worker command', function () {
  this.timeout(30_000)

  describe('refuses invalid flags, with the reason', () => {
    const bad: [args: string[], says: RegExp][] = [
      [['worker'], /required option '-d, --data-source <file>' not specified/],
      [['worker', '-d', 'x.js', '-c', '0'], /'0' is invalid.*Give a whole number of 1 or more/],
      [['worker', '-d', 'x.js', '-c', '1.5'], /whole number/],
      [['worker', '-d', 'x.js', '--concurrency', 'many'], /whole number/],
      [['worker', '-d', 'x.js', '-q', 'a,,b'], /Give queue names, separated by commas/],
      [['worker', '-d', 'x.js', '-q', ''], /Give queue names/],
      [['worker', '-d', 'x.js', '--poll-interval', 'often'], /the time is 'often': give 0 or more milliseconds/],
      [['worker', '-d', 'x.js', '--shutdown-timeout=-5'], /give 0 or more milliseconds/],
      [['worker', '-d', 'x.js', '--max-silence', 'never'], /give 0 or more milliseconds/],
      [['worker', '-d', 'x.js', '--synchronize'], /unknown option '--synchronize'/],
      [['worker', '-d', 'x.js', 'extra'], /too many arguments|excess/i],
      [['wroker'], /unknown command 'wroker'/],
    ]
    for (const [args, says] of bad) {
      it(args.join(' '), async () => {
        const { code, stderr } = await run(args)
        expect(code).to.equal(1)
        expect(stderr).to.match(says)
        expect(stderr).not.to.match(/\n\s+at /)
      })
    }
  })

  it('prints its version and its flags', async () => {
    expect((await run(['--version'])).stdout.trim()).to.match(/^\d+\.\d+\.\d+/)
    const { code, stdout } = await run(['worker', '--help'])
    expect(code).to.equal(0)
    for (const flag of ['-d', '-q', '-c', '--once', '--poll-interval', '--shutdown-timeout', '--max-silence', '-r']) {
      expect(stdout).to.include(flag)
    }
  })

  it('refuses a module of -r that is not there, and loads one that is', async () => {
    const missing = await run(['worker', '-d', dataSourceFile({}), '-r', './not-there'])
    expect(missing.code).to.equal(1)
    expect(missing.stderr).to.match(/Cannot find module '\.\/not-there'/)
    const first = join(temporaryDirectory(), 'first.js')
    writeFileSync(first, 'process.env.LOADED_FIRST = "yes"')
    const file = dataSourceFile({ attach: false, extra: 'console.log("FIRST " + process.env.LOADED_FIRST)' })
    expect((await run(['worker', '-d', file, '-r', first])).stdout).to.include('FIRST yes')
  })

  it('refuses a data source without the plugin, with the fix', async () => {
    const { code, stdout, stderr } = await run(['worker', '-d', dataSourceFile({ attach: false })])
    expect(code).to.equal(1)
    expect(stdout + stderr).to.include('call withBackgrounded(dataSource, { handler }) first')
  })

  for (const flags of [[], ['--once']]) {
    it(`refuses an in-memory database, with the fix: ${flags.join() || 'a worker that stays'}`, async () => {
      const { code, stdout, stderr } = await run(['worker', '-d', dataSourceFile({}), ...flags])
      expect(code).to.equal(1)
      expect(stdout + stderr).to.match(/cannot share an in-memory database .* use a file, or .* drain\(dataSource\)/)
      expect(stdout, 'it never says that it has started').not.to.match(/worker started|draining/)
    })

    it(`refuses a database without the job table, with the fix: ${flags.join() || 'a worker that stays'}`, async () => {
      const database = await databaseFile('no job table')
      const { code, stdout, stderr } = await run(['worker', '-d', dataSourceFile({ database }), ...flags], {}, 5_000)
      expect(code, 'it ends by itself').to.equal(1)
      expect(stdout + stderr).to.match(/A job table is not in the database: generate and run a migration/)
      const tables = await query(database, `SELECT name FROM sqlite_master WHERE name = 'backgrounded_jobs'`)
      expect(tables, 'it created none').to.deep.equal([])
    })
  }

  it('refuses a handler that keeps no jobs, with the fix', async () => {
    const database = await databaseFile()
    for (const handler of ['new SynchronousHandler()', 'new NullHandler()']) {
      const { code, stdout, stderr } = await run(['worker', '-d', dataSourceFile({ database, handler })])
      expect(code).to.equal(1)
      expect(stdout + stderr).to.match(/handler keeps no jobs for a worker: use DatabaseHandler/)
    }
  })

  it('exits with 1 for a database file that cannot be opened', async () => {
    const { code, stdout, stderr } = await run(['worker', '-d', dataSourceFile({ database: '/dev/null/app.sqlite' })])
    expect(code).to.equal(1)
    expect(stdout + stderr).not.to.equal('')
  })

  describe('with --once', () => {
    it('runs what is due, prints the counts and exits with 0', async () => {
      const database = await databaseFile()
      await query(database, job('greet', ['hello']), job('greet', ['again']))
      const { code, stdout } = await run(['worker', '-d', dataSourceFile({ database }), '--once'])
      expect(stdout).to.include('GREETED Ada hello').and.to.include('GREETED Ada again')
      const counts = stdout.split('\n').find((line) => line.startsWith('{"completed"'))
      expect(JSON.parse(counts as string)).to.deep.equal({
        completed: 2,
        retried: 0,
        failed: 0,
        discarded: 0,
        released: 0,
      })
      expect(code).to.equal(0)
    })

    it('exits with 1 if a job failed', async () => {
      const database = await databaseFile()
      await query(database, job('fail'), job('greet', ['hello']))
      const { code, stdout } = await run(['worker', '-d', dataSourceFile({ database }), '--once'])
      expect(stdout).to.include('"completed":1').and.to.include('"failed":1')
      expect(code).to.equal(1)
    })

    it('exits with 0 if a job was discarded or released', async () => {
      const database = await databaseFile()
      await query(
        database,
        `INSERT INTO backgrounded_jobs (entity, key, method) VALUES ('User', '{"id":999}', 'greet')`,
        `INSERT INTO backgrounded_jobs (entity, key, method) VALUES ('User', '{"id":1}', 'newer')`,
      )
      const { code, stdout } = await run(['worker', '-d', dataSourceFile({ database }), '--once'])
      expect(stdout).to.include('"discarded":1').and.to.include('"released":1')
      expect(code).to.equal(0)
    })

    it('works on the given queues only', async () => {
      const database = await databaseFile()
      await query(database, job('greet', ['default']), job('greet', ['mail']))
      await query(database, `UPDATE backgrounded_jobs SET queue = 'mail' WHERE args = '["mail"]'`)
      const { stdout } = await run(['worker', '-d', dataSourceFile({ database }), '--once', '-q', 'other, mail'])
      expect(stdout).to.include('GREETED Ada mail').and.not.to.include('GREETED Ada default')
    })

    it('never synchronizes, drops or migrates, whatever the data source says', async () => {
      const database = await databaseFile()
      await query(
        database,
        'CREATE TABLE precious (id integer)',
        'INSERT INTO precious VALUES (1)',
        job('greet', ['x']),
      )
      await query(database, 'ALTER TABLE user ADD COLUMN unmapped varchar')
      const { code } = await run(['worker', '-d', dataSourceFile({ database }), '--once'])
      expect(code).to.equal(0)
      expect(await query(database, 'SELECT * FROM precious')).to.deep.equal([{ id: 1 }])
      expect((await query(database, 'SELECT * FROM user'))[0]).to.have.property('unmapped')
    })

    it('shows in its banner what it works on', async () => {
      const database = await databaseFile()
      const { stdout } = await run(['worker', '-d', dataSourceFile({ database }), '--once', '-c', '3'])
      const banner = JSON.parse(stdout.split('\n').find((line) => line.includes('"methods"')) as string) as object
      expect(banner).to.deep.include({
        dataSource: `better-sqlite3 ${database}`,
        handler: 'database',
        queues: 'all',
        concurrency: 3,
        methods: ['User.greet', 'User.fail'],
      })
    })
  })
})

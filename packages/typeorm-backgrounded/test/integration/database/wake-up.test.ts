import { expect } from 'chai'
import { backgrounded } from '../../../src'
import { type DatabaseProgram, programsOfSuite } from '../../support/database-processes'
import { mariaDb, postgres } from '../../support/stores'
import { expectPunctual } from '../../support/punctual'
import { until } from '../../support/worker-process'

describe('an idle worker on Postgres', function () {
  this.timeout(60_000)
  const start = programsOfSuite()

  before(async function () {
    await postgres.require(this)
  })

  it('starts a job within 100 ms of its commit', async () => {
    const program = await start(postgres)
    await program.workers(1)
    await startsWithin(100, program)
  })

  it('starts a job within 100 ms of its commit after its connections were dropped', async () => {
    const program = await start(postgres)
    await program.workers(1)
    await startsWithin(100, program)
    const [{ now }] = await program.dataSource.query<{ now: Date }[]>('SELECT clock_timestamp() AS now')
    await program.dropConnections()
    await until(() => hasLooked(program, now))
    await startsWithin(100, program)
  })

  it('starts a job within 1.5 s if it does not listen', async () => {
    const program = await start(postgres, { handler: { listen: false } })
    await program.workers(1)
    await startsWithin(1_500, program)
  })

  /** The worker has looked for jobs over a connection that is newer than this; what it reads along, it cleans up after. */
  async function hasLooked({ dataSource }: DatabaseProgram, than: Date): Promise<boolean> {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'worker'
      AND backend_start > $1 AND state = 'idle' AND query ~ 'backgrounded_jobs|backgrounded.statement_timeout'`
    return (await dataSource.query<unknown[]>(sql, [than])).length > 0
  }
})

describe('an idle worker on MariaDB', function () {
  this.timeout(60_000)
  const start = programsOfSuite()

  before(async function () {
    await mariaDb.require(this)
  })

  it('starts a job within 1.5 s of its commit', async () => {
    const program = await start(mariaDb)
    await program.workers(1)
    await startsWithin(1_500, program)
  })
})

for (const store of [postgres, mariaDb]) {
  describe(`ten delayed jobs on ${store.name}`, function () {
    this.timeout(60_000)
    const start = programsOfSuite()

    before(async function () {
      await store.require(this)
    })

    it('start within 100 ms of their time', async () => {
      const program = await start(store)
      await program.workers(1)
      const task = await program.save('delayed')
      for (const delay of [1_200, 1_400, 1_700, 2_100, 2_800]) {
        await backgrounded(task, { delay }).tellLateness(Date.now() + delay)
        await backgrounded(task, { runAt: new Date(Date.now() + delay) }).tellLateness(Date.now() + delay)
      }
      await until(() => program.lines.length === 10)
      expectPunctual(latenessOf(program))
    })
  })
}

/** From the call to the start; each call when the last job has run, every other one in a transaction. */
async function startsWithin(ms: number, program: DatabaseProgram): Promise<void> {
  const task = await program.save('urgent')
  const before = program.lines.length
  for (let index = 0; index < 6; index++) {
    if (index % 2) await backgrounded(task).tellLateness(Date.now())
    else {
      await program.dataSource.transaction((manager) => backgrounded(task, { manager }).tellLateness(Date.now()))
    }
    await until(() => program.lines.length === before + index + 1)
    await until(() => program.isDone())
  }
  const lateness = latenessOf(program).slice(before)
  console.log(`      after ${lateness.join(', ')} ms`)
  // The first job also opens connections, and on a busy machine all of its code is still to be compiled.
  const [first, ...others] = lateness
  expect(first, lateness.join()).to.be.at.most(Math.max(ms, 500))
  for (const late of others) expect(late, lateness.join()).to.be.at.most(ms)
}

function latenessOf({ lines }: DatabaseProgram): number[] {
  return lines.map((line) => Number(line.split(' ')[2]))
}

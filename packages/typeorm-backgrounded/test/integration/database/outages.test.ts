import { expect } from 'chai'
import { backgrounded, type JobReceipt } from '../../../src'
import { type DatabaseProgram, programsOfSuite } from '../../support/database-processes'
import { type DatabaseServer, databaseServers } from '../../support/database-servers'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

/** How long the server is away, in ms; by then every lease has ended twice. 60,000 makes the lease the default of 20 s. */
const OUTAGE = Number(process.env.OUTAGE ?? 6_000)
const LEASE = Math.min(20_000, OUTAGE / 2.5)

for (const kind of databaseServers) {
  describe(`workers on a ${kind.name} that is away for a time`, function () {
    this.timeout(120_000 + 3 * OUTAGE)
    const start = programsOfSuite()
    let server: DatabaseServer

    before(async function () {
      await kind.require(this)
    })
    beforeEach(async () => {
      server = await kind.start()
    })
    afterEach(async () => {
      await server.end()
    })

    it(`run no job twice that is running during the ${OUTAGE} ms, and lose none`, async () => {
      const program = await start(server, { handler: { lease: LEASE } })
      const tasks = await program.tasks(30)
      const workers = await program.workers(3, '-c', '4')
      // Of those that start before it, one half ends during it, the other when it is over.
      await backgrounded(tasks.slice(0, 6)).linger(OUTAGE / 2)
      await backgrounded(tasks.slice(6, 12)).linger(OUTAGE + 4_000)
      await backgrounded(tasks.slice(12)).linger(100)
      await until(() => program.lines.length === 12)
      await server.stop()
      const stoppedAt = Date.now()
      await until(() => Date.now() - stoppedAt >= OUTAGE, OUTAGE + 1_000)
      await server.restart()
      await until(() => program.isDone().catch(() => false), 60_000)
      for (const word of ['start', 'end']) {
        const ids = program.lines.filter((line) => line.includes(word)).map((line) => Number(line.split(' ')[1]))
        expect(ids.sort(byNumber), word).to.deep.equal(tasks.map(({ id }) => id))
      }
      for (const { output } of workers) expect(output).not.to.match(/lost the lease|Warning/)
    })

    for (const how of ['stop', 'kill'] as const) {
      it(`run 2,000 jobs once each, though it ${how === 'stop' ? 'restarts' : 'crashes'} in the middle`, async () => {
        const program = await start(server)
        const receipts = await halfway(program)
        await server[how]()
        await server.restart()
        await runsEachOnce(program, receipts)
      })
    }
  })
}

for (const store of [postgres, mariaDb]) {
  describe(`workers on a ${store.name} that drops its connections`, function () {
    this.timeout(120_000)
    const start = programsOfSuite()

    before(async function () {
      await store.require(this)
    })

    it('run 2,000 jobs once each, although all connections are dropped again and again', async () => {
      const program = await start(store)
      const receipts = await halfway(program)
      for (let round = 1; round <= 5; round++) {
        await program.dropConnections()
        const before = program.lines.length
        await until(() => program.lines.length > Math.min(before + 100, receipts.length - 1))
      }
      await runsEachOnce(program, receipts)
    })
  })
}

/** Three workers in the middle of 2,000 jobs. */
async function halfway(program: DatabaseProgram): Promise<JobReceipt[]> {
  const tasks = await program.tasks(2_000)
  await program.workers(3, '-c', '10')
  const receipts = await backgrounded(tasks).sign(20)
  await until(() => program.lines.length >= 500)
  return receipts
}

async function runsEachOnce(program: DatabaseProgram, receipts: readonly JobReceipt[]): Promise<void> {
  await until(
    () => program.isDone().catch(() => false),
    60_000,
    () => `after ${program.lines.length} runs`,
  )
  expect(program.signed.sort()).to.deep.equal(receipts.map(({ id }) => id).sort())
}

function byNumber(a: number, b: number): number {
  return a - b
}

import { expect } from 'chai'
import { backgrounded, type JobReceipt } from '../../../src'
import { type DatabaseProgram, programsOfSuite } from '../../support/database-processes'
import { mariaDb, postgres } from '../../support/stores'
import { until, type WorkerProcess } from '../../support/worker-process'
import { Task } from '../fixtures/task'

/** How many jobs the tests drain, and how many behind a held snapshot. */
const JOBS = Number(process.env.JOBS ?? 20_000)
const HELD_JOBS = Number(process.env.HELD_JOBS ?? 50_000)
const PART = HELD_JOBS / 10

const CONFLICT = /deadlock|serializ|lock wait timeout|cannot be reached/i

for (const store of [postgres, mariaDb]) {
  describe(`workers on ${store.name}`, function () {
    this.timeout(180_000)
    const start = programsOfSuite()

    before(async function () {
      await store.require(this)
    })

    it(`run ${JOBS} jobs in four processes, each once, without reporting a deadlock`, async () => {
      const program = await start(store)
      const tasks = await program.tasks(500)
      const workers = await program.workers(4, '-c', '10')
      const producer = async () => {
        const receipts: JobReceipt[] = []
        for (let round = 0; round < JOBS / 500 / 4; round++) receipts.push(...(await backgrounded(tasks).sign()))
        return receipts
      }
      const receipts = (await Promise.all([producer(), producer(), producer(), producer()])).flat()
      await runsEachOnce(program, receipts, workers)
      expect(new Set(program.lines.map((line) => line.split(' ')[0])).size).to.equal(4)
    })

    it('do not disturb producers in transactions at REPEATABLE READ while they empty the queue', async () => {
      const program = await start(store, { poolSize: 16 })
      const workers = await program.workers(2, '-c', '10')
      const producer = async () => {
        const receipts: JobReceipt[] = []
        for (let index = 0; index < 150; index++) {
          await program.dataSource.transaction('REPEATABLE READ', async (manager) => {
            const task = await manager.save(Object.assign(new Task(), { title: 'fresh' }))
            receipts.push(await backgrounded(task).sign())
          })
        }
        return receipts
      }
      const receipts = (await Promise.all(Array.from({ length: 16 }, producer))).flat()
      await runsEachOnce(program, receipts, workers)
    })
  })
}

describe('a worker on a Postgres that keeps all old rows because of a snapshot', function () {
  this.timeout(180_000)
  const start = programsOfSuite()

  before(async function () {
    await postgres.require(this)
  })

  it(`is as fast at the end of ${HELD_JOBS} jobs as in the beginning`, async () => {
    const program = await start(postgres)
    const tasks = await program.tasks(1_000)
    await program.workers(1, '-c', '50')
    const warmUp = 5_000
    for (let index = 0; index < warmUp; index += 1_000) await backgrounded(tasks).tellTime()
    await until(() => program.lines.length === warmUp, 60_000)

    const snapshot = program.dataSource.createQueryRunner()
    await snapshot.startTransaction('REPEATABLE READ')
    await snapshot.query('SELECT count(*) FROM task')
    await program.dataSource.transaction(async (manager) => {
      for (let index = 0; index < HELD_JOBS; index += 1_000) await backgrounded(tasks, { manager }).tellTime()
    })
    await until(() => program.lines.length === warmUp + HELD_JOBS, 120_000)
    await snapshot.rollbackTransaction()
    await snapshot.release()

    const times = program.lines
      .slice(warmUp)
      .map((line) => Number(line.split(' ')[2]))
      .sort((a, b) => a - b)
    const [first, last] = [pace(times.slice(0, PART)), pace(times.slice(-PART))]
    const whole = pace(times)
    console.log(`      first ${PART}: ${first} jobs/s, last ${PART}: ${last} jobs/s, all: ${whole} jobs/s`)
    expect(last / first).to.be.at.least(0.7)
  })
})

async function runsEachOnce(
  program: DatabaseProgram,
  receipts: readonly JobReceipt[],
  workers: readonly WorkerProcess[],
): Promise<void> {
  await until(() => program.lines.length >= receipts.length, 90_000)
  await until(() => program.isDone())
  expect(program.signed.sort()).to.deep.equal(receipts.map(({ id }) => id).sort())
  for (const { output } of workers) expect(output).not.to.match(CONFLICT)
}

/** Jobs a second. */
function pace(times: readonly number[]): number {
  return Math.round((times.length / ((times.at(-1) as number) - (times[0] as number))) * 1_000)
}

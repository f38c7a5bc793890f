import { expect } from 'chai'
import { backgrounded } from '../../../src'
import { type DatabaseProgram, programsOfSuite } from '../../support/database-processes'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

/** For how long, in ms. A worker with the shortest lease gives up four beats a second meanwhile. */
const LOCK = Number(process.env.LOCK ?? 5_000)

/** Of two workers, each with one or two of its pool; and of the producer two of its pool, and the one for calls. */
const OWN = 2 * 4 + 3

const stores = [
  {
    ...postgres,
    lock: [
      'BEGIN',
      'LOCK TABLE backgrounded_jobs IN ACCESS EXCLUSIVE MODE',
      'LOCK TABLE backgrounded_workers IN ACCESS EXCLUSIVE MODE',
    ],
    unlock: 'COMMIT',
    more: 0,
    connections: 'SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database()',
    waiting:
      "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  },
  {
    ...mariaDb,
    lock: ['LOCK TABLES backgrounded_jobs WRITE, backgrounded_workers WRITE'],
    unlock: 'UNLOCK TABLES',
    /** For a moment, one for each that waits, to end what it does. */
    more: 5,
    connections: 'SELECT count(*) AS number FROM information_schema.processlist WHERE db = database()',
    waiting:
      "SELECT count(*) AS number FROM information_schema.processlist WHERE db = database() AND state LIKE 'Waiting for table%'",
  },
]

for (const store of stores) {
  describe(`While another session locks the job tables on ${store.name}`, function () {
    this.timeout(60_000 + 2 * LOCK)
    const start = programsOfSuite()

    before(async function () {
      await store.require(this)
    })

    it('a worker opens no more connections than usual, and goes on when the tables are unlocked', async () => {
      const program = await start(store, { handler: { lease: '1s' } })
      const task = await program.save('it')
      await program.workers(2)
      await backgrounded(task).run()
      await until(() => program.isDone())
      const runner = program.dataSource.createQueryRunner()
      for (const sql of store.lock) await runner.query(sql)
      let most = 0
      // Over a connection that is made when it is first needed.
      void backgrounded(task)
        .run()
        .catch(() => {})
      for (const end = Date.now() + LOCK; Date.now() < end;) {
        await until(async () => (await numberOf(program, store.waiting)) > 0)
        most = Math.max(most, await numberOf(program, store.connections))
      }
      await runner.query(store.unlock)
      await runner.release()
      expect(most).to.be.lessThanOrEqual(OWN + store.more)
      await backgrounded(await program.save('afterwards')).run()
      await until(() => program.lines.some((line) => line.endsWith('afterwards')))
      await until(() => program.isDone())
    })
  })
}

/** Not in the transaction that holds the lock, which sees the connections as they were. */
async function numberOf({ dataSource }: DatabaseProgram, sql: string): Promise<number> {
  const [row] = await dataSource.query<{ number: string | number }[]>(sql)
  return Number(row?.number)
}

import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { DataSource } from 'typeorm'
import { connectionOptions } from '../../../src/database/mariadb/connection-options'
import { MariaDbJobs } from '../../../src/handlers/database/mariadb/mariadb-jobs'
import { OwnSession } from '../../../src/handlers/database/mariadb/session'
import { NOW as MARIADB_NOW } from '../../../src/database/mariadb/now'
import { mariaDbStatements } from '../../../src/handlers/database/mariadb/statements'
import { PostgresJobs } from '../../../src/handlers/database/postgres/postgres-jobs'
import { postgresStatements } from '../../../src/handlers/database/postgres/statements'
import type { RowOutcome } from '../../../src/handlers/database/row-outcome'
import type { Fence, LeasedJobs } from '../../../src/handlers/database/server/leased-jobs'
import { entitiesOf, jobTables } from '../../../src/handlers/database/tables'
import { mysqlOf } from '../../../src/upstream/mysql2'
import { silent } from '../../support/program'
import { mariaDb, postgres, type TestStore } from '../../support/stores'

const OURS = '00000000-0000-4000-8000-00000000000a'
const ANOTHER = '00000000-0000-4000-8000-00000000000b'
const ALIVE = '00000000-0000-4000-8000-00000000000c'
const FAILED: RowOutcome = { state: 'failed', delay: null, error: 'x', suspect: null, giveBack: 0, releasedSince: null }

const NOW: Readonly<Record<string, string>> = {
  [postgres.name]: '(extract(epoch from clock_timestamp()) * 1000)::bigint',
  [mariaDb.name]: MARIADB_NOW,
}

interface Row {
  readonly id: string
  readonly state: string
  readonly progress: string | null
}

for (const store of [postgres, mariaDb]) {
  describe(`A worker that comes back late, on ${store.name},`, () => {
    let dataSource: DataSource
    let jobs: LeasedJobs
    let close: () => Promise<void>
    /** Claims as the worker remembers them. */
    let kept: Fence, takenOver: Fence, claimedAgain: Fence

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ;({ dataSource, jobs, close } = await open(store))
      kept = await running(OURS, 1)
      takenOver = await running(ANOTHER, 1)
      claimedAgain = { ...(await running(OURS, 2)), lease: 1 }
    })
    afterEach(() => close())

    async function running(worker: string, lease: number): Promise<Fence> {
      const id = randomUUID()
      await dataSource.query(
        `INSERT INTO backgrounded_jobs (id, entity, method, state, attempt, worker, lease)
         VALUES ('${id}', 'Parcel', 'ship', 'running', 1, '${worker}', ${lease})`,
      )
      return { id, lease }
    }

    async function rows(): Promise<Row[]> {
      const found = await dataSource.query<Row[]>('SELECT id, state, progress FROM backgrounded_jobs')
      return [kept, takenOver, claimedAgain].flatMap(({ id }) => found.filter((row) => row.id === id))
    }

    it('removes no job that another worker has now, or that it has claimed again itself', async () => {
      const done = [kept, takenOver, claimedAgain]
      const { leaseLost } = await jobs.acknowledgeAndClaim({ done, slots: 0, lease: 9 })
      expect([...leaseLost].sort()).to.deep.equal([takenOver.id, claimedAgain.id].sort())
      expect((await rows()).map(({ id }) => id)).to.deep.equal([takenOver.id, claimedAgain.id])
    })

    it('stores no outcome of such a job, but that of its neighbour', async () => {
      const applied = await jobs.applyOutcomes(
        [kept, takenOver, claimedAgain].map((fence) => ({ ...fence, ...FAILED })),
      )
      expect([...applied]).to.deep.equal([kept.id])
      expect((await rows()).map(({ state }) => state)).to.deep.equal(['failed', 'running', 'running'])
    })

    it('stores no progress of such a job, but that of its neighbour', async () => {
      await jobs.storeProgress([kept, takenOver, claimedAgain].map((fence) => ({ ...fence, progress: '1' })))
      expect((await rows()).map(({ progress }) => progress)).to.deep.equal(['1', null, null])
    })

    it('takes over no job of a dead worker before it has beaten again', async () => {
      await worker(ANOTHER, 60, 50)
      await worker(OURS, 30, 100)
      await worker(ALIVE, 0, 130)
      expect(await jobs.reap(9)).to.deep.equal([])
      await jobs.beat()
      expect((await jobs.reap(9)).map(({ id }) => id)).to.deep.equal([takenOver.id])
    })

    /** As if it had last beaten so many seconds ago, when the store had been in touch with workers for `contact` seconds. */
    async function worker(id: string, silence: number, contact: number): Promise<void> {
      const beatAt = `${NOW[store.name]} - ${silence * 1_000}`
      await dataSource.query(
        `INSERT INTO backgrounded_workers (id, source, name, started_at, beat_at, steady_since)
         VALUES ('${id}', 'default', 'a worker', 0, ${beatAt}, ${beatAt} - ${contact * 1_000})`,
      )
    }
  })
}

async function open(
  store: TestStore,
): Promise<{ dataSource: DataSource; jobs: LeasedJobs; close: () => Promise<void> }> {
  const driver = store === postgres ? 'postgres' : 'mariadb'
  const { dataSource, drop } = await store.create(entitiesOf(driver))
  await dataSource.initialize()
  const options = { source: 'default', worker: OURS, name: 'a worker', queues: null, lease: 20_000 }
  const tables = jobTables(driver, dataSource)
  if (store === postgres) {
    const query = async <Row>(text: string, values: readonly unknown[]) => {
      const runner = dataSource.createQueryRunner()
      const answer = await runner.query(text, [...values], true).finally(() => runner.release())
      return answer.records as Row[]
    }
    return { dataSource, jobs: new PostgresJobs({ ...options, query, sql: postgresStatements(tables) }), close: drop }
  }
  const session = new OwnSession(mysqlOf(dataSource, silent), connectionOptions(dataSource))
  const jobs = new MariaDbJobs(() => session, mariaDbStatements(tables), options)
  const close = async () => {
    await session.close()
    await drop()
  }
  return { dataSource, jobs, close }
}

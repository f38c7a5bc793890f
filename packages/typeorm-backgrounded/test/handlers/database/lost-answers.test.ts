import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgroundedEvents, createWorker, drain, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { MariaDbJobs } from '../../../src/handlers/database/mariadb/mariadb-jobs'
import { PostgresJobs } from '../../../src/handlers/database/postgres/postgres-jobs'
import type { LeasedJobs } from '../../../src/handlers/database/server/leased-jobs'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

const ran: string[] = []
const DEAD = '00000000-0000-4000-8000-000000000001'

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded({ backoff: 0 })
  static async send(name: string): Promise<void> {
    ran.push(name)
    most = Math.max(most, ++running)
    await work()
    running--
  }
}

let running = 0
let most = 0
let work = () => Promise.resolve()

const SERVERS = [
  { store: postgres, jobs: PostgresJobs.prototype as LeasedJobs },
  { store: mariaDb, jobs: MariaDbJobs.prototype as LeasedJobs },
]

for (const { store, jobs } of SERVERS) {
  describe(`Jobs whose worker died or lost contact, on ${store.name}`, () => {
    const { reap, acknowledgeAndClaim, applyOutcomes, claimSuspects, claimedByThisWorker } = jobs
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
    })

    beforeEach(async () => {
      ran.length = most = running = 0
      work = () => Promise.resolve()
      const created = await store.create([Letter])
      drop = created.drop
      dataSource = withBackgrounded(created.dataSource, {
        handler: new DatabaseHandler({ lease: '1s' }),
        logger: silent,
      })
      await dataSource.initialize()
    })

    afterEach(async () => {
      Object.assign(jobs, { reap, acknowledgeAndClaim, applyOutcomes, claimSuspects, claimedByThisWorker })
      await drop?.()
    })

    async function working(work: () => Promise<void>): Promise<void> {
      const worker = createWorker(dataSource, { concurrency: 2, pollInterval: 50 })
      const finished = worker.run()
      await work()
      await worker.stop()
      await finished
    }

    const insert = (columns: string, values: string) =>
      dataSource.query(
        `INSERT INTO backgrounded_jobs (entity, method, args, ${columns}) VALUES ('Letter', 'send', '["it"]', ${values})`,
      )
    const suspect = () => insert('suspect, attempt', '1, 1')
    const orphan = () => insert('state, attempt, worker, lease', `'running', 1, '${DEAD}', 1`)

    it('run, when the answer to their takeover was lost', async () => {
      jobs.reap = async function (this: LeasedJobs, lease) {
        const taken = await reap.call(this, lease)
        if (taken.length === 0) return taken
        jobs.reap = reap
        throw lostAnswer()
      }
      await orphan()
      await working(() => until(() => ran.length === 1))
    })

    it('run, when the statement after their claim fails', async () => {
      jobs.claimSuspects = async function (this: LeasedJobs, lane, limit, lease) {
        jobs.acknowledgeAndClaim = () => {
          jobs.acknowledgeAndClaim = acknowledgeAndClaim
          return Promise.reject(lostAnswer())
        }
        jobs.claimSuspects = claimSuspects
        return claimSuspects.call(this, lane, limit, lease)
      }
      await suspect()
      await suspect()
      await working(() => until(() => ran.length === 2))
    })

    it('do not run, when their claim took longer than its lease and another worker has had them since', async () => {
      let claims = 0
      jobs.acknowledgeAndClaim = async function (this: LeasedJobs, request) {
        const reply = await acknowledgeAndClaim.call(this, request)
        if (reply.claimed.length === 0 || claims++ > 0) return reply
        await dataSource.query('DELETE FROM backgrounded_jobs')
        await sleep(1_100)
        return reply
      }
      await insert('attempt', '0')
      await working(async () => {
        await until(() => claims === 1)
        await sleep(1_100)
        await insert('attempt', '0')
        await until(() => claims === 2)
      })
      expect(ran).to.have.length(1)
    })

    it('have not lost their leases, when the answer to their outcomes was lost', async () => {
      const events: string[] = []
      for (const event of ['retried', 'completed', 'leaseLost'] as const)
        backgroundedEvents(dataSource).on(event, () => void events.push(event))
      jobs.applyOutcomes = async function (this: LeasedJobs, outcomes) {
        await applyOutcomes.call(this, outcomes)
        jobs.applyOutcomes = applyOutcomes
        throw lostAnswer()
      }
      jobs.acknowledgeAndClaim = async function (this: LeasedJobs, request) {
        const reply = await acknowledgeAndClaim.call(this, request)
        if (request.done.length === 0) return reply
        jobs.acknowledgeAndClaim = acknowledgeAndClaim
        throw lostAnswer()
      }
      work = () => (ran.length === 1 ? Promise.reject(new Error('once')) : Promise.resolve())
      await insert('attempt', '0')
      await working(() => until(() => events.length === 2))
      expect(events).to.deep.equal(['retried', 'completed'])
      expect(ran).to.have.length(2)
    })

    it('run no more at a time than there are slots, when the answers to several claims were lost', async () => {
      let losses = 3
      jobs.acknowledgeAndClaim = async function (this: LeasedJobs, request) {
        const reply = await acknowledgeAndClaim.call(this, request)
        if (losses-- > 0) throw lostAnswer()
        return reply
      }
      jobs.claimedByThisWorker = async function (this: LeasedJobs) {
        // What was sent arrives late: nobody sees it before all of it is there.
        return losses > 0 ? [] : claimedByThisWorker.call(this)
      }
      // A job lasts until the worker has looked around once more: one too many would have begun by then.
      const unfinished = new Set<() => void>()
      jobs.reap = async function (this: LeasedJobs, lease) {
        const taken = await reap.call(this, lease)
        for (const end of unfinished) end()
        unfinished.clear()
        return taken
      }
      work = () => new Promise((resolve) => unfinished.add(resolve))
      for (let count = 0; count < 10; count++) await insert('attempt', '0')
      await working(() => until(() => ran.length === 10))
      expect(most).to.equal(2)
    })

    it('run in a drain', async () => {
      await suspect()
      await suspect()
      expect(await drain(dataSource)).to.include({ completed: 2 })
    })

    it('do not keep a drain waiting when another worker has taken them over', async () => {
      await orphan()
      const drained = drain(dataSource)
      await until(async () => (await dataSource.query('SELECT * FROM backgrounded_workers')).length > 0)
      await dataSource.query('DELETE FROM backgrounded_jobs')
      expect(await drained).to.include({ completed: 0 })
    })
  })
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

function lostAnswer(): Error {
  return Object.assign(new Error('the answer was lost'), { code: 'ECONNRESET' })
}

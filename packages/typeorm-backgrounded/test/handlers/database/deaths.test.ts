import { expect } from 'chai'
import { type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { v7 as uuid } from 'uuid'
import {
  backgrounded,
  Backgrounded,
  backgroundedEvents,
  createWorker,
  currentJob,
  withBackgrounded,
} from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import type { Duration } from '../../../src/job/duration'
import { Heartbeat } from '../../../src/handlers/heartbeat/heartbeat'
import { silent } from '../../support/program'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'
import { until } from '../../support/worker-process'

const DEAD = '00000000-0000-4000-8000-00000000000d'
const ALIVE = '00000000-0000-4000-8000-00000000000a'
const SECOND = 1_000

const ran: string[] = []
let running = 0
let most = 0
let work = () => Promise.resolve()

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded({ backoff: 0 })
  static async ship(name: string): Promise<void> {
    ran.push(name)
    if (name === 'ordinary') return
    most = Math.max(most, ++running)
    await work()
    running--
  }

  @Backgrounded({ attempts: 1 })
  static shipOnce(): void {
    ran.push(`once ${currentJob().attempt}`)
  }
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`Jobs of a worker that died, on ${store.name}`, function () {
    this.timeout(60_000)
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
    })

    beforeEach(async () => {
      ran.length = running = most = 0
      work = () => Promise.resolve()
    })

    afterEach(async () => {
      await drop?.()
    })

    async function start(lease: Duration): Promise<void> {
      const created = await store.create([Parcel])
      drop = created.drop
      dataSource = withBackgrounded(created.dataSource, { handler: new DatabaseHandler({ lease }), logger: silent })
      await dataSource.initialize()
    }

    async function working(whatFor: () => Promise<void>, concurrency = 10): Promise<void> {
      const worker = createWorker(dataSource, { concurrency, pollInterval: 50 })
      const finished = worker.run()
      await Promise.race([whatFor(), finished]).finally(() => worker.stop())
      await finished
    }

    const orphan = (name: string, { attempt = 1, suspect = 0, attempts = 10, method = 'ship' } = {}) =>
      dataSource.query(
        `INSERT INTO backgrounded_jobs (id, entity, method, args, state, attempt, attempts, suspect, worker, lease)
         VALUES ('${uuid()}', 'Parcel', '${method}', '["${name}"]', 'running', ${attempt}, ${attempts}, ${suspect}, '${DEAD}', 1)`,
      )

    /** As if it had last beaten so many ms ago, when the store had been in touch with some worker for `contact` ms. */
    const worker = (id: string, silence: number, contact: number) => {
      const now = store === postgres ? '(extract(epoch from clock_timestamp()) * 1000)::bigint' : MARIADB_NOW
      const beatAt = `${now} - ${silence}`
      return dataSource.query(
        `INSERT INTO backgrounded_workers (id, source, name, started_at, beat_at, steady_since)
         VALUES ('${id}', 'default', 'a worker', 0, ${beatAt}, ${beatAt} - ${contact})`,
      )
    }

    /** Ten of them, each for as long as it takes until as many as can have begun. */
    async function inRounds(together: number): Promise<void> {
      const ends = new Set<() => void>()
      const endAll = () => {
        for (const end of ends) end()
        ends.clear()
      }
      work = () => new Promise((resolve) => ends.add(resolve))
      const rounds = async () => {
        for (let begun = together; begun <= 10; begun += together) {
          await until(() => again().length === begun && running === together)
          await backgrounded(Parcel).ship('ordinary')
          await until(() => ran.at(-1) === 'ordinary')
          expect(running).to.equal(together)
          endAll()
        }
        await until(() => running === 0)
      }
      await working(() => rounds().finally(endAll))
    }

    const again = () => ran.filter((name) => name === 'again')

    it('run again together, in half of the slots', async () => {
      await start('1s')
      for (let index = 0; index < 10; index++) await orphan('again')
      await inRounds(5)
      expect(again()).to.have.length(10)
      expect(most).to.equal(5)
    })

    it('run one at a time after a second death', async () => {
      await start('1s')
      for (let index = 0; index < 10; index++) await orphan('again', { attempt: 2, suspect: 1 })
      await inRounds(1)
    })

    it('run one at a time if they have only one attempt left', async () => {
      await start('1s')
      for (let index = 0; index < 10; index++) await orphan('again', { attempt: 9 })
      await inRounds(1)
    })

    it('run again before a backlog', async () => {
      await start('1s')
      await orphan('again')
      await working(async () => {
        await until(() => ran.length > 0)
      }, 1)
      for (let index = 0; index < 3; index++) await orphan('again')
      for (let index = 0; index < 500; index++) await backgrounded(Parcel).ship('ordinary')
      await working(async () => {
        await until(() => again().length === 4)
        expect(ran.length).to.be.below(504)
      }, 1)
    })

    it('use an attempt, and are not run again if none is left', async () => {
      await start('1s')
      const failed: unknown[] = []
      backgroundedEvents(dataSource).on('failed', ({ error }) => failed.push(error))
      await orphan('once', { attempts: 1, method: 'shipOnce' })
      await working(() => until(() => failed.length === 1))
      expect(failed[0]).to.have.property('code', 'WORKER_DIED')
      expect(ran).to.deep.equal([])
    })

    if (store === sqliteFile) return

    it('run again at once on a worker that has just started, if another was in contact for a lease', async () => {
      await start('20s')
      await worker(DEAD, 21 * SECOND, 79 * SECOND)
      await worker(ALIVE, SECOND, 99 * SECOND)
      await orphan('again')
      await working(() => until(() => ran.includes('again'), 5 * SECOND))
    })

    it('run again at once if the last worker that was in contact has died too', async () => {
      await start('20s')
      await worker(DEAD, 25 * SECOND, 79 * SECOND)
      await worker(ALIVE, 3 * SECOND, 99 * SECOND)
      await orphan('again')
      await working(() => until(() => ran.includes('again'), 5 * SECOND))
    })

    for (const away of [19, 60]) {
      it(`are not taken over if the store was away for ${away} s and no worker was in contact`, async () => {
        await start('20s')
        await worker(DEAD, (away + 5) * SECOND, 1_000 * SECOND)
        await worker(ALIVE, SECOND, 1_004 * SECOND)
        await orphan('again')
        await working(async () => {
          await backgrounded(Parcel).ship('ordinary')
          await until(() => ran.includes('ordinary'))
          // By then the worker has looked around.
          await until(async () => (await steps()) >= 2)
        })
        expect(ran).to.deep.equal(['ordinary'])
        const rows = await dataSource.query<{ worker: string }[]>(`SELECT worker FROM backgrounded_jobs`)
        expect(rows).to.deep.equal([{ worker: DEAD }])
      })
    }

    /** How many workers have been in touch in the last second. */
    async function steps(): Promise<number> {
      const rows = await dataSource.query<{ id: string }[]>(`SELECT id FROM backgrounded_workers WHERE id <> '${DEAD}'`)
      return rows.length
    }

    it('are left alone where their worker is not on the list, until the store has been in touch for a lease', async () => {
      await start('20s')
      await orphan('again')
      await working(async () => {
        await backgrounded(Parcel).ship('ordinary')
        await until(() => ran.includes('ordinary')) // a worker looks for dead ones before it claims
      })
      const rows = await dataSource.query<{ worker: string }[]>(`SELECT worker FROM backgrounded_jobs`)
      expect(rows).to.deep.equal([{ worker: DEAD }])
    })

    it('run again even if no worker lives for a lease', async () => {
      await start('2s')
      await orphan('again')
      await worker(DEAD, 0, 0)
      const begin = Date.now()
      while (!ran.includes('again')) {
        expect(Date.now() - begin, 'ms in vain').to.be.below(15 * SECOND)
        const comes = Date.now()
        await working(() => until(() => ran.includes('again') || Date.now() - comes > 700))
        const goes = Date.now()
        await until(() => Date.now() - goes > 300)
      }
    })

    it('never belong to a worker that has not had its first heartbeat', async () => {
      await start('20s')
      const { get } = Object.getOwnPropertyDescriptor(Heartbeat.prototype, 'firstBeat') as { get: () => unknown }
      let beat = () => {}
      const firstBeat = new Promise<void>((resolve) => (beat = resolve))
      Object.defineProperty(Heartbeat.prototype, 'firstBeat', { get: () => firstBeat, configurable: true })
      try {
        await backgrounded(Parcel).ship('ordinary')
        await working(async () => {
          await until(async () => (await steps()) === 1)
          await backgrounded(Parcel).ship('ordinary') // which wakes it
          const rows = await dataSource.query<object[]>(`SELECT id FROM backgrounded_jobs WHERE state = 'waiting'`)
          expect(rows).to.have.length(2)
          beat()
          await until(() => ran.length === 2)
        })
      } finally {
        Object.defineProperty(Heartbeat.prototype, 'firstBeat', { get, configurable: true })
      }
    })

    it('leave one row in the table of workers when the last worker has stopped, however many there were', async () => {
      await start('20s')
      for (let index = 0; index < 3; index++) {
        await working(async () => {
          await backgrounded(Parcel).ship('ordinary')
          await until(() => ran.length === index + 1)
        })
      }
      const rows = await dataSource.query<{ name: string }[]>('SELECT name FROM backgrounded_workers')
      expect(rows).to.deep.equal([{ name: '' }])
    })
  })
}

const MARIADB_NOW = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)"

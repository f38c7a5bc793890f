import { expect } from 'chai'
import { DataSource, Entity, PrimaryGeneratedColumn, type QueryRunner } from 'typeorm'
import { v7 as uuid } from 'uuid'
import {
  backgrounded,
  Backgrounded,
  createWorker,
  currentJob,
  DiscardJob,
  settled,
  SnoozeJob,
  withBackgrounded,
} from '../../../src'
import { BullHandler } from '../../../src/handlers/bull'
import { DatabaseHandler } from '../../../src/handlers/database'
import { silent } from '../../support/program'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../../support/redis'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

/** Less than a server lets anybody wait for a lock. */
const SOON = 4_000
const DEAD = '00000000-0000-4000-8000-000000000001'
const FIRST = '00000000-0000-7000-8000-000000000000'
const LAST = 'ffffffff-ffff-7fff-bfff-ffffffffffff'

let runs = 0

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded({ backoff: 0, attempts: 3 })
  async ship(how: 'completed' | 'retried' | 'released' | 'discarded' | 'failed'): Promise<void> {
    runs++
    const { attempt, progress } = currentJob()
    await new Promise((resolve) => setImmediate(resolve))
    if (how === 'failed') throw new Error('it always fails')
    if (attempt > 1 || how === 'completed') return
    progress('on its way')
    if (how === 'discarded') throw new DiscardJob('it is not wanted')
    if (how === 'released' && Math.random() < 0.5) throw new SnoozeJob(0)
    throw new Error('it fails once')
  }
}

/** What a planner sees of a table depends on how many rows are in it. */
const SIZES = [0, 20, 20_000]

for (const store of [postgres, mariaDb]) {
  for (const others of SIZES) {
    describe(`While a transaction with calls is open on ${store.name}, in a table of ${others} other jobs`, function () {
      this.timeout(60_000)
      let dataSource: DataSource
      let drop: (() => Promise<void>) | undefined
      let handler: DatabaseHandler
      let parcel: Parcel
      let open: QueryRunner

      before(async function () {
        await store.require(this)
      })

      beforeEach(async () => {
        runs = 0
        const created = await store.create([Parcel])
        drop = created.drop
        handler = new DatabaseHandler({ lease: '1s' })
        dataSource = withBackgrounded(created.dataSource, { handler, logger: silent, keepCompleted: 1 })
        await dataSource.initialize()
        parcel = await dataSource.manager.save(new Parcel())
        await fill(dataSource, others)
        open = dataSource.createQueryRunner()
        await open.startTransaction('REPEATABLE READ')
        await callInside(FIRST)
      })

      afterEach(async () => {
        if (open.isTransactionActive) await open.rollbackTransaction()
        await open.release()
        await drop?.()
      })

      /** By hand, so that the row is there now and not only at the commit. */
      const callInside = (id: string, state = 'waiting') =>
        open.query(
          `INSERT INTO backgrounded_jobs (id, entity, method, args, state) VALUES ('${id}', 'Parcel', 'ship', '["completed"]', '${state}')`,
        )

      async function working(work: () => Promise<void>): Promise<void> {
        const worker = createWorker(dataSource, { concurrency: 10, pollInterval: 50 })
        const finished = worker.run()
        await work().finally(() => worker.stop())
        await finished
      }

      const left = async (states: string) => {
        const sql = `SELECT id FROM backgrounded_jobs WHERE state IN (${states}) AND method = 'ship' ORDER BY id`
        return (await dataSource.query<{ id: string }[]>(sql)).map(({ id }) => id)
      }

      for (const how of ['completed', 'retried', 'released', 'discarded', 'failed'] as const) {
        it(`workers store that jobs have ${how === 'completed' ? 'completed' : `been ${how}`}`, async () => {
          for (let index = 0; index < 20; index++) {
            await backgrounded(parcel).ship(how)
            await callInside(uuid())
          }
          await callInside(LAST)
          await working(async () => {
            await until(() => runs >= 20, SOON)
            await until(async () => (await left(`'waiting', 'running'`)).length === 0, SOON)
          })
        })
      }

      it('workers run the jobs of dead workers', async () => {
        await dataSource.query(
          `INSERT INTO backgrounded_workers (id, source, name, started_at, beat_at, steady_since) VALUES ('${DEAD}', 'default', 'dead', 0, 0, 0)`,
        )
        for (let index = 0; index < 5; index++) {
          await dataSource.query(
            `INSERT INTO backgrounded_jobs (id, entity, method, args, state, attempt, worker, lease, ${quoted('key')}) ` +
              `VALUES ('${uuid()}', 'Parcel', 'ship', '["completed"]', 'running', 1, '${DEAD}', 1, '{"id":${parcel.id}}')`,
          )
          await callInside(uuid(), 'running')
        }
        await working(() => until(async () => (await left(`'waiting', 'running'`)).length === 0, 2 * SOON))
        expect(runs).to.equal(5)
      })

      it('workers remove jobs that have been completed for long enough', async () => {
        const finished = (id: string) =>
          `INSERT INTO backgrounded_jobs (id, entity, method, state, finished_at) VALUES ('${id}', 'Parcel', 'ship', 'completed', 1)`
        for (let index = 0; index < 5; index++) {
          await dataSource.query(finished(uuid()))
          await open.query(finished(uuid()))
        }
        await working(() => until(async () => (await left(`'completed'`)).length === 0, SOON))
      })

      it('the inspection methods work, and do not see jobs that are not committed', async () => {
        const ids: string[] = []
        for (let index = 0; index < 5; index++) {
          const { id } = await backgrounded(parcel).ship('completed')
          const uncommitted = uuid()
          await callInside(uncommitted, 'failed')
          ids.push(id, uncommitted)
        }
        const fail = (which: readonly string[]) =>
          dataSource.query(
            `UPDATE backgrounded_jobs ${store === mariaDb ? 'FORCE INDEX (PRIMARY)' : ''} SET state = 'failed', finished_at = 1 WHERE id IN (${which.map((id) => `'${id}'`).join()})`,
          )
        const committed = ids.filter((_, index) => index % 2 === 0)
        await fail(committed)
        expect(await soon(handler.retry(ids))).to.equal(5)
        expect(await soon(handler.discard([ids[1] as string]))).to.equal(0)
        expect(await soon(handler.discard(ids.slice(0, 4)))).to.equal(2)
        await fail(committed.slice(2))
        expect(await soon(handler.prune({ before: new Date(2), state: 'failed' }))).to.equal(3)
        await open.query(`INSERT INTO backgrounded_pauses (source, queue) VALUES ('default', 'a'), ('default', 'z')`)
        for (const queue of ['letters', 'parcels', 'zebras']) await soon(handler.pause(queue))
        for (const queue of ['letters', 'parcels', 'zebras']) await soon(handler.resume(queue))
        expect(await soon(handler.find({ method: 'ship' }))).to.deep.equal([])
        await soon(handler.counts())
      })

      it('calls of other transactions wait neither for it nor for the workers', async () => {
        const runners = [dataSource.createQueryRunner(), dataSource.createQueryRunner()] as const
        for (const runner of runners) await runner.startTransaction('REPEATABLE READ')
        await working(async () => {
          for (let index = 0; index < 20; index++) {
            for (const { manager } of runners) await soon(backgrounded(parcel, { manager }).ship('completed'))
            await soon(backgrounded(parcel).ship('completed'))
            await callInside(uuid())
          }
          for (const runner of runners) await soon(runner.commitTransaction())
          await until(() => runs === 60, SOON)
          await until(async () => (await left(`'waiting', 'running'`)).length === 0, SOON)
        })
        for (const runner of runners) await runner.release()
      })

      function quoted(name: string): string {
        return store === mariaDb ? `\`${name}\`` : `"${name}"`
      }
    })

    describe(`While a transaction with calls is open on ${store.name}, in an outbox of ${others} other jobs`, function () {
      this.timeout(60_000)
      let dataSource: DataSource
      let drop: (() => Promise<void>) | undefined
      let parcel: Parcel
      let open: QueryRunner
      let prefix: string

      before(async function () {
        await store.require(this)
        await requireRedis(this)
      })

      beforeEach(async () => {
        runs = 0
        prefix = uniquePrefix()
        const created = await store.create([Parcel])
        drop = created.drop
        dataSource = withBackgrounded(created.dataSource, {
          handler: new BullHandler({ redis: redisUrl, prefix }),
          logger: silent,
        })
        await dataSource.initialize()
        parcel = await dataSource.manager.save(new Parcel())
        const numbers = store === postgres ? `generate_series(1, ${others}) seq` : `seq_1_to_${others}`
        if (others > 0) {
          const id = store === postgres ? 'gen_random_uuid()' : 'UUID()'
          // Another process has the lease of these rows.
          await dataSource.query(
            `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) SELECT ${id}, 'default', '{}', 0, ${Date.now() + 3_600_000} FROM ${numbers}`,
          )
        }
        open = dataSource.createQueryRunner()
        await open.startTransaction('REPEATABLE READ')
        await writeInside(FIRST)
      })

      afterEach(async () => {
        if (open.isTransactionActive) await open.rollbackTransaction()
        await open.release()
        await drop?.()
        await removeKeys(prefix)
      })

      const insert = (id: string) => {
        const payload = JSON.stringify({
          entity: 'Parcel',
          key: { id: parcel.id },
          method: 'ship',
          args: ['completed'],
        })
        return `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) VALUES ('${id}', 'default', '${payload}', 0, 0)`
      }
      const writeInside = (id: string) => open.query(insert(id))
      const isEmpty = async () =>
        (await dataSource.query<unknown[]>(`SELECT id FROM backgrounded_outbox WHERE payload <> '{}'`)).length === 0

      it('the calls of other transactions are delivered and removed', async () => {
        for (let round = 0; round < 3; round++) {
          await soon(
            dataSource.transaction('REPEATABLE READ', async (manager) => {
              for (let index = 0; index < 20; index++) {
                await backgrounded(parcel, { manager }).ship('completed')
                await writeInside(uuid())
              }
            }),
          )
          await soon(settled(dataSource))
          expect(await isEmpty()).to.equal(true)
        }
      })

      it('rows that dead processes left are relayed', async () => {
        for (let index = 0; index < 20; index++) {
          await dataSource.query(insert(uuid()))
          await writeInside(uuid())
        }
        await writeInside(LAST)
        const worker = createWorker(dataSource, { concurrency: 10 })
        const finished = worker.run()
        await until(() => runs === 20, SOON)
        await until(isEmpty, SOON)
        await worker.stop()
        await finished
      })

      it('transactions that call in turn do not wait for each other', async () => {
        const runners = [dataSource.createQueryRunner(), dataSource.createQueryRunner()] as const
        for (const runner of runners) await runner.startTransaction('REPEATABLE READ')
        for (let index = 0; index < 20; index++) {
          for (const { manager } of runners) await soon(backgrounded(parcel, { manager }).ship('completed'))
        }
        for (const runner of runners) await soon(runner.commitTransaction())
        await soon(settled(dataSource))
        for (const runner of runners) await runner.release()
        expect(await isEmpty()).to.equal(true)
      })
    })
  }
}

/** Jobs that have failed, and jobs of another time. */
async function fill(dataSource: DataSource, rows: number): Promise<void> {
  if (rows === 0) return
  const isPostgres = dataSource.options.type === 'postgres'
  const id = isPostgres ? 'gen_random_uuid()' : 'UUID()'
  const numbers = isPostgres ? `generate_series(1, ${rows}) AS numbers (seq)` : `seq_1_to_${rows}`
  const isOdd = isPostgres ? 'seq % 2 = 1' : 'seq MOD 2 = 1'
  await dataSource.query(
    `INSERT INTO backgrounded_jobs (id, entity, method, state, finished_at, run_at) SELECT ${id}, 'Parcel', 'other', ` +
      `CASE WHEN ${isOdd} THEN 'failed' ELSE 'waiting' END, CASE WHEN ${isOdd} THEN ${Date.now()} END, ${Date.now() + 3_600_000} FROM ${numbers}`,
  )
}

async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it waited for more than ${SOON} ms`)), SOON)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

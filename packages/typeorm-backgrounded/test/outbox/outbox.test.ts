import { expect } from 'chai'
import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { Column, type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, backgroundedEvents, drain, settled, withBackgrounded } from '../../src'
import type { EnqueueResult, Handler } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import type { JobEnvelope } from '../../src/job/envelope'
import { freePort } from '../support/free-port'
import { whenSent } from '../support/postgres'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, sqliteInMemory } from '../support/stores'
import { until } from '../support/worker-process'

const ran: string[] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded({ backoff: 0 })
  post(text: string): void {
    ran.push(text)
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

for (const store of [sqliteInMemory, sqliteFile, postgres, mariaDb]) {
  describe(`the outbox in ${store.name}`, function () {
    this.timeout(60_000)
    let dataSource: DataSource
    let drop: () => Promise<void>
    let prefix: string
    let letter: Letter
    const events: string[] = []

    before(async function () {
      await store.require(this)
      await requireRedis(this)
    })

    beforeEach(async () => {
      ran.length = events.length = 0
      prefix = uniquePrefix()
      ;({ dataSource, drop } = await store.create([Letter]))
      await attach(reachable())
      for (const name of ['enqueued', 'enqueueFailed'] as const)
        backgroundedEvents(dataSource).on(name, () => void events.push(name))
      letter = await dataSource.manager.save(new Letter())
    })

    afterEach(async () => {
      await drop?.()
      await removeKeys(prefix)
    })

    const reachable = () => new BullHandler({ redis: redisUrl, prefix })
    const unreachable = async () =>
      new BullHandler({ redis: { port: await freePort(), host: '127.0.0.1' }, prefix, timeout: 150 })

    async function attach(handler: Handler, options: { outbox?: boolean } = {}): Promise<void> {
      if (dataSource.isInitialized) await dataSource.destroy()
      await withBackgrounded(dataSource, { handler, logger: quiet, ...options }).initialize()
      // A database in memory is gone after destroy().
      if (letter && store === sqliteInMemory)
        await dataSource.manager.save(Object.assign(new Letter(), { id: letter.id }))
    }

    async function rows(): Promise<{ id: string; payload: string }[]> {
      return await dataSource.query('SELECT id, payload FROM backgrounded_outbox ORDER BY id')
    }

    /** What somebody left who died: available since `age` ms, or for somebody else for that long. */
    async function leave(payload: unknown, age = 1, id: string = randomUUID()): Promise<string> {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
      const at = Date.now() - age
      const values = `'${id}', 'default', '${text.replaceAll("'", "''").replaceAll('\\', store === mariaDb ? '\\\\' : '\\')}', ${at}, ${at}`
      await dataSource.query(
        `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) VALUES (${values})`,
      )
      return id
    }

    const call = (text: string) => ({ entity: 'Letter', key: { id: letter.id }, method: 'post', args: [text] })

    it('holds the call with its transaction, and is empty once Redis has the job', async () => {
      await dataSource.transaction(async (manager) => {
        expect((await backgrounded(letter, { manager }).post('inside')).state).to.equal('deferred')
        await manager.transaction(async (inner) => {
          const written = await inner.query<unknown[]>('SELECT id FROM backgrounded_outbox')
          expect(written).to.have.length(1) // it is written before the savepoint
        })
        expect(events).to.deep.equal([])
      })
      await settled(dataSource)
      expect(await rows()).to.deep.equal([])
      expect(events).to.deep.equal(['enqueued'])
      await drain(dataSource)
      expect(ran).to.deep.equal(['inside'])
    })

    it('has a table that a second synchronize does not change', async () => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log()
      expect(upQueries.map(({ query }) => query)).to.deep.equal([])
    })

    it('drops the calls of a transaction, or of a savepoint, that is rolled back', async () => {
      const rollBack = async (work: Promise<unknown>) => work.catch(() => {})
      await dataSource.transaction(async (manager) => {
        await backgrounded(letter, { manager }).post('before')
        await rollBack(
          manager.transaction(async (inner) => {
            await backgrounded(letter, { manager: inner }).post('savepoint')
            throw new Error('back')
          }),
        )
        await manager.transaction((inner) => backgrounded(letter, { manager: inner }).post('released'))
      })
      await rollBack(
        dataSource.transaction(async (manager) => {
          await backgrounded(letter, { manager }).post('transaction')
          throw new Error('back')
        }),
      )
      await settled(dataSource)
      await drain(dataSource)
      expect([...ran].sort()).to.deep.equal(['before', 'released'])
      expect(await rows()).to.deep.equal([])
    })

    if (store === postgres) {
      const slowly = (end: string) =>
        dataSource.query(
          `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); ${end}; END';
          CREATE TRIGGER slow BEFORE INSERT ON backgrounded_outbox FOR EACH ROW EXECUTE FUNCTION slow()`,
        )
      const callWhileCommitting = async () => {
        const runner = dataSource.createQueryRunner()
        await runner.startTransaction()
        let late: Promise<unknown> | undefined
        await whenSent(runner, () => (late = backgrounded(letter, { manager: runner.manager }).post('late')))
        await runner.commitTransaction()
        await late
        await settled(dataSource)
        await runner.release()
        await drain(dataSource)
      }

      it('takes a call that comes while the COMMIT is on its way, and is empty once Redis has the job', async () => {
        await slowly('RETURN new')
        await callWhileCommitting()
        expect(await rows()).to.deep.equal([])
        expect(ran).to.deep.equal(['late'])
      })

      it('is not needed for such a call, whose transaction is over when it leaves', async () => {
        await slowly(`RAISE EXCEPTION ''no''`)
        await callWhileCommitting()
        expect(events).to.deep.equal(['enqueued'])
        expect(ran).to.deep.equal(['late'])
      })

      it('makes the commit fail when it refuses a row', async () => {
        await slowly(`RAISE EXCEPTION ''no''`)
        const failure = await dataSource
          .transaction((manager) => backgrounded(letter, { manager }).post('never'))
          .catch((error: unknown) => error)
        expect(failure).to.have.property('code', 'ENQUEUE_FAILED')
        expect(events).to.deep.equal(['enqueueFailed'])
        await drain(dataSource)
        expect(ran).to.deep.equal([])
      })

      it('counts a delay from the call, however long the transaction goes on', async () => {
        await dataSource.transaction(async (manager) => {
          await backgrounded(letter, { manager, delay: 300 }).post('delayed')
          const due = performance.now() + 300
          await until(() => performance.now() > due)
        })
        await settled(dataSource)
        await drain(dataSource)
        expect(ran).to.deep.equal(['delayed'])
      })
    }

    it('takes a call while Redis is down, in a transaction and outside, and it runs when Redis is back', async () => {
      await attach(await unreachable())
      const receipt = await backgrounded(letter).post('outside')
      expect(receipt.state).to.equal('deferred')
      await dataSource.transaction((manager) => backgrounded(letter, { manager }).post('inside'))
      await settled(dataSource)
      expect(await rows()).to.have.length(2)
      expect(events.includes('enqueueFailed'), events.join()).to.equal(false)
      if (store === sqliteInMemory) return // it goes with its process
      await attach(reachable())
      await drain(dataSource)
      expect([...ran].sort()).to.deep.equal(['inside', 'outside'])
      expect(await rows()).to.deep.equal([])
    })

    it('answers fast while Redis is known to be down', async () => {
      await attach(await unreachable())
      await backgrounded(letter).post('first')
      const begin = performance.now()
      for (let index = 0; index < 50; index++) await backgrounded(letter).post('next')
      expect(performance.now() - begin).to.be.below(2_000)
      expect(await rows()).to.have.length(51)
    })

    it('relays the calls of a process that died after its commit', async () => {
      await leave(call('left'))
      await drain(dataSource)
      expect(ran).to.deep.equal(['left'])
      expect(await rows()).to.deep.equal([])
    })

    it('does not relay a row whose lease another process holds', async () => {
      await leave(call('leased'), -60_000)
      await drain(dataSource)
      expect(ran).to.deep.equal([])
      expect(await rows()).to.have.length(1)
    })

    it('pushes a job once, even if it has run and is gone when its row is found again', async () => {
      const id = await leave(call('once'))
      const payload = (await rows())[0]!.payload
      await drain(dataSource)
      expect(ran).to.deep.equal(['once'])
      // As if the relay had died before the delete, so that Redis still remembers the id.
      await forgetNothing(id)
      await leave(payload, 1, id)
      await drain(dataSource)
      expect(ran).to.deep.equal(['once'])
      expect(await rows()).to.deep.equal([])
    })

    async function forgetNothing(id: string): Promise<void> {
      const redis = new Redis(redisUrl)
      await until(async () => (await redis.zcard(`${prefix}:default:pushed`)) === 0)
      await redis.zadd(`${prefix}:default:pushed`, Date.now(), id)
      await redis.quit()
    }

    it('counts a delay from the call, however long the job waited in it', async () => {
      await leave({ ...call('due'), delay: 60_000 }, 61_000)
      await leave({ ...call('later'), delay: 3_600_000 }, 61_000)
      await drain(dataSource)
      expect(ran).to.deep.equal(['due'])
    })

    it('keeps a row that cannot be read, says so, and relays its neighbours', async () => {
      for (const broken of ['{broken', '[1]', '"text"', 'null']) await leave(broken)
      await leave({ entity: '__proto__', method: 'constructor' })
      await leave(call('sound'))
      const counts = await drain(dataSource)
      expect(ran).to.deep.equal(['sound'])
      expect(counts).to.include({ completed: 1, failed: 1 })
      expect(await rows()).to.have.length(4)
    })

    it('refuses a job that is too large at the call', async () => {
      const tooLarge = dataSource.transaction((manager) =>
        backgrounded(letter, { manager }).post('x'.repeat(4_200_000)),
      )
      expect(await codeOf(tooLarge)).to.equal('PAYLOAD_TOO_LARGE')
      await dataSource.transaction((manager) => backgrounded(letter, { manager }).post('x'.repeat(1_100_000)))
      await settled(dataSource)
      await drain(dataSource)
      expect(ran.map(({ length }) => length)).to.deep.equal([1_100_000])
    })

    it('keeps odd text as it is', async () => {
      const odd = 'NUL \0, a lone \ud800, "quotes", \\ and 🦆'
      await dataSource.transaction((manager) => backgrounded(letter, { manager }).post(odd))
      await settled(dataSource)
      await drain(dataSource)
      expect(ran).to.deep.equal([odd])
    })

    it('keeps a job that its handler refuses, reports it, and delivers its neighbours', async () => {
      const taken: string[] = []
      const picky: Handler = {
        name: 'picky',
        capabilities: {
          transactional: false,
          batches: true,
          honours: { delay: true, priority: true, keepCompleted: false },
          consumes: 'never',
          inspects: false,
        },
        enqueue: (jobs: readonly JobEnvelope[]) =>
          Promise.resolve(
            jobs.map(({ args }): EnqueueResult => {
              if (args[0] === 'unwanted') return { state: 'failed', error: new Error('not that one') }
              taken.push(args[0] as string)
              return { state: 'enqueued' }
            }),
          ),
      }
      await attach(picky)
      await dataSource.transaction(async (manager) => {
        for (const text of ['one', 'unwanted', 'two']) await backgrounded(letter, { manager }).post(text)
      })
      await settled(dataSource)
      expect(taken).to.deep.equal(['one', 'two'])
      expect([...events].sort()).to.deep.equal(['enqueueFailed', 'enqueued', 'enqueued'])
      expect(await rows()).to.have.length(1)
    })

    it('loses and doubles nothing of many transactions at once', async () => {
      const concurrent = store === sqliteFile || store === sqliteInMemory ? 1 : 8
      let next = 0
      const client = async () => {
        while (next < 200) {
          const text = String(next++)
          await dataSource.transaction((manager) => backgrounded(letter, { manager }).post(text))
        }
      }
      await Promise.all(Array.from({ length: concurrent }, client))
      await settled(dataSource)
      // SQLite writes block this process: where it answers Redis too late, the jobs stay in the outbox for the next drain.
      const isDrained = async () => {
        await drain(dataSource).catch((error: { code?: string }) => expect(error.code).to.equal('STORE_UNAVAILABLE'))
        return (await rows()).length === 0 && ran.length >= 200
      }
      await until(isDrained, 30_000)
      expect(ran.map(Number).sort((a, b) => a - b)).to.deep.equal([...Array(200).keys()])
    })

    it('makes the data source fail to start if its table lacks a column, with the fix', async () => {
      if (store === sqliteInMemory) return
      await dataSource.query('ALTER TABLE backgrounded_outbox DROP COLUMN payload')
      await dataSource.destroy()
      dataSource.setOptions({ synchronize: false })
      const error = await dataSource.initialize().catch((each: unknown) => each as Error & { code: string })
      expect(error).to.include({ code: 'OUTDATED_TABLE' })
      expect((error as Error).message).to.match(/outbox.*payload.*schema --check/)
    })

    it('makes calls fail if its table is missing, with the fix', async () => {
      if (store === sqliteInMemory) return
      await dataSource.query('DROP TABLE backgrounded_outbox')
      await dataSource.destroy()
      dataSource.setOptions({ synchronize: false })
      const error = await dataSource.initialize().catch((each: unknown) => each as Error & { code: string })
      expect(error).to.include({ code: 'MISSING_TABLE' })
      expect((error as Error).message).to.match(/migration:generate.*outbox: false/)
      expect(dataSource.isInitialized).to.equal(false)

      await attach(reachable(), { outbox: false })
      await dataSource.transaction((manager) => backgrounded(letter, { manager }).post('without'))
      await settled(dataSource)
      await drain(dataSource)
      expect(ran).to.deep.equal(['without'])
    })
  })
}

for (const store of [postgres, mariaDb]) {
  describe(`an outbox in ${store.name}`, function () {
    this.timeout(60_000)
    let dataSource: DataSource
    let drop: () => Promise<void>
    let prefix: string
    let letter: Letter

    before(async function () {
      await store.require(this)
      await requireRedis(this)
    })

    beforeEach(async () => {
      ran.length = 0
      prefix = uniquePrefix()
      ;({ dataSource, drop } = await store.create([Letter]))
      await withBackgrounded(dataSource, {
        handler: new BullHandler({ redis: redisUrl, prefix }),
        logger: quiet,
      }).initialize()
      letter = await dataSource.manager.save(new Letter())
    })

    afterEach(async () => {
      await drop?.()
      await removeKeys(prefix)
    })

    it('pushes no job twice if several relays run side by side', async () => {
      const values = Array.from({ length: 2_000 }, (_, index) => {
        const payload = { entity: 'Letter', key: { id: letter.id }, method: 'post', args: [String(index)] }
        return `('${randomUUID()}', 'default', '${JSON.stringify(payload)}', 0, 0)`
      })
      await dataSource.query(
        `INSERT INTO backgrounded_outbox (id, source, payload, written_at, available_at) VALUES ${values.join()}`,
      )
      await Promise.all([drain(dataSource), drain(dataSource), drain(dataSource)])
      await until(async () => (await drain(dataSource)).completed === 0)
      expect(ran.map(Number).sort((a, b) => a - b)).to.deep.equal([...Array(2_000).keys()])
    })

    for (const seconds of [4.5, 5.5]) {
      it(`delivers right after the commit of a transaction that took ${seconds} s, once`, async () => {
        await dataSource.transaction(async (manager) => {
          await backgrounded(letter, { manager }).post('late')
          const begin = Date.now()
          await until(() => Date.now() - begin > seconds * 1000)
        })
        await settled(dataSource)
        expect(await dataSource.query<unknown[]>('SELECT id FROM backgrounded_outbox')).to.have.length(0)
        await drain(dataSource)
        expect(ran).to.deep.equal(['late'])
      })
    }
  })
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  )

import { expect } from 'chai'
import { once } from 'node:events'
import { backgrounded, backgroundedEvents, settled } from '../../src'
import { type BullProgram, programsOfSuite } from '../support/bull-processes'
import { requirePostgres } from '../support/postgres'
import { requireRedis } from '../support/redis'
import { RedisServer, requireRedisServer } from '../support/redis-server'
import { until } from '../support/worker-process'

/** How often producers are killed; each takes about half a second. */
const KILLS = Number(process.env.KILLS ?? 200)

describe('the outbox', function () {
  this.timeout(300_000)
  const start = programsOfSuite()

  before(async function () {
    await requirePostgres(this)
    await requireRedis(this)
    await requireRedisServer(this)
  })

  it(`delivers every committed call and no other, although its process is killed ${KILLS} times at random moments`, async () => {
    const program = await start()
    let left = KILLS
    const killing = async () => {
      while (left-- > 0) {
        const producer = await program.process('transactions.js')
        await Promise.race([once(producer, 'message'), once(producer, 'exit')])
        const moment = Date.now() + Math.random() * 100
        await until(() => Date.now() >= moment)
        producer.kill('SIGKILL')
        await once(producer, 'exit')
      }
    }
    await Promise.all([killing(), killing(), killing()])
    const leftovers = await program.leftovers()
    expect(leftovers, 'some were killed between the commit and the push').to.be.above(0)
    program.worker('-c', '20')
    const rows = await program.dataSource.query<{ id: number; title: string }[]>('SELECT id, title FROM task')
    await until(() => new Set(ids()).size >= rows.length, 120_000)
    await until(() => program.isDone(), 30_000)
    expect(new Set(rows.map(({ title }) => title))).to.deep.equal(new Set(['committed']))
    expect(ids().sort()).to.deep.equal(rows.map(({ id }) => String(id)).sort())

    function ids(): string[] {
      return program.lines.map((line) => line.split(' ')[1]!)
    }
  })

  it('delivers a job only once if its relay is killed between the push and the delete, after the job has run', async () => {
    const program = await start()
    const { dataSource } = program
    const task = await program.save('relayed')
    await dataSource.query(
      `CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END $$`,
    )
    await dataSource.query(
      'CREATE TRIGGER slow BEFORE DELETE ON backgrounded_outbox FOR EACH ROW EXECUTE FUNCTION wait_for_the_test()',
    )
    const gate = dataSource.createQueryRunner()
    await gate.query('SELECT pg_advisory_lock(42)')
    await leave(program, task.id)
    const first = program.worker()
    await until(() => program.lines.length === 1)
    await until(async () => (await program.handler.counts()).running === 0)
    const [{ pid }] = await dataSource.query(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE 'DELETE%' AND wait_event_type = 'Lock' AND datname = current_database()`,
    )
    first.kill('SIGKILL')
    await first.exited
    await dataSource.query('SELECT pg_terminate_backend($1)', [pid])
    await gate.query('SELECT pg_advisory_unlock(42)')
    await gate.release()
    expect(await program.leftovers()).to.equal(1)

    const second = program.worker()
    await until(() => program.isDone(), 30_000)
    await until(async () => (await program.rememberedPushes()) === 0)
    second.kill('SIGTERM')
    await second.exited
    expect(program.lines).to.deep.equal([`${first.pid} ${task.id} relayed`])
  })

  it('takes 2,000 calls while Redis is down for 10 s, and all of them run when it is back', async () => {
    const redis = await RedisServer.start()
    const program = await start({ redis: redis.url })
    const failures: unknown[] = []
    backgroundedEvents(program.dataSource).on('enqueueFailed', ({ error }) => failures.push(error))
    const worker = program.worker('-c', '10')
    await worker.started()
    const tasks = await program.tasks(2_000)
    const begin = Date.now()
    let stopped: Promise<unknown> = Promise.resolve()
    for (const [index, task] of tasks.entries()) {
      if (index === 500) stopped = redis.stop()
      // Half of them in transactions; some at once, the others over the time that Redis is away.
      if (index % 2) await backgrounded(task).run()
      else await program.dataSource.transaction((manager) => backgrounded(task, { manager }).run())
      if (index > 500) await until(() => Date.now() - begin >= ((index - 500) / 1_500) * 10_000)
    }
    await stopped
    await redis.restart()
    await until(() => new Set(program.lines.map((line) => line.split(' ')[1])).size === 2_000, 60_000)
    await until(() => program.isDone())
    await settled(program.dataSource)
    expect(failures).to.deep.equal([])
    // At least once is what is promised; once is what is seen.
    expect(program.lines.length).to.be.within(2_000, 2_001)
    await program.end()
    await redis.end()
  })

  /** What a process leaves that was killed right after its commit. */
  async function leave({ dataSource }: BullProgram, id: number): Promise<void> {
    const payload = JSON.stringify({ entity: 'Task', key: { id }, method: 'run', args: [] })
    await dataSource.query('INSERT INTO backgrounded_outbox VALUES (gen_random_uuid(), $1, $2, 0, 0)', [
      'default',
      payload,
    ])
  }
})

import { expect } from 'chai'
import { backgrounded } from '../../src'
import { programsOfSuite } from '../support/bull-processes'
import { requirePostgres } from '../support/postgres'
import { requireRedis, uniquePrefix } from '../support/redis'
import { expectPunctual } from '../support/punctual'
import { until } from '../support/worker-process'

/** A lease so short that a test need not wait for it. */
const SHORT = { lockDuration: 2_000 }

describe('workers on Redis', function () {
  this.timeout(120_000)
  const start = programsOfSuite()

  before(async function () {
    await requirePostgres(this)
    await requireRedis(this)
  })

  it('run 5,000 jobs in three processes, each once', async () => {
    const program = await start()
    const tasks = await program.tasks(500)
    const workers = [program.worker('-c', '10'), program.worker('-c', '10'), program.worker('-c', '10')]
    await Promise.all(workers.map((worker) => worker.started()))
    for (let round = 0; round < 10; round++) await backgrounded(tasks).run()
    await until(async () => program.lines.length >= 5_000 && (await program.isDone()), 60_000)
    const runs = new Map<string, number>()
    for (const line of program.lines) runs.set(line.split(' ')[1]!, (runs.get(line.split(' ')[1]!) ?? 0) + 1)
    expect(program.lines.length).to.equal(5_000)
    expect(new Set(runs.values())).to.deep.equal(new Set([10]))
    expect(new Set(program.lines.map((line) => line.split(' ')[0])).size).to.equal(3)
  })

  it('run the jobs of a queue in order if there is one slot, and the queues in the given order', async () => {
    const program = await start()
    const tasks = await program.tasks(100)
    for (const task of tasks) await backgrounded(task, { queue: Number(task.title) % 2 ? 'late' : 'early' }).run()
    const worker = program.worker('-q', 'early,late', '-c', '1')
    await until(() => program.lines.length === 100)
    const titles = program.lines.map((line) => Number(line.split(' ')[2]))
    const numbers = [...Array(100).keys()]
    expect(titles).to.deep.equal([...numbers.filter((n) => n % 2 === 0), ...numbers.filter((n) => n % 2 === 1)])
    worker.kill('SIGTERM')
    expect((await worker.exited).code).to.equal(0)
  })

  it('run a delayed job within 100 ms of its time when they are idle', async () => {
    const program = await start()
    await program.worker().started()
    const task = await program.save('delayed')
    for (const delay of [150, 400, 700, 1_100, 1_800]) {
      await backgrounded(task, { delay }).tellLateness(Date.now() + delay)
      await backgrounded(task, { runAt: new Date(Date.now() + delay) }).tellLateness(Date.now() + delay)
    }
    await until(() => program.lines.length === 10)
    expectPunctual(program.lines.map((line) => Number(line.split(' ')[2])))
  })

  it('take over the job of a killed worker within 30 s, and count its death as an attempt', async () => {
    const program = await start()
    const first = program.worker()
    await first.started()
    await backgrounded(await program.save('slow')).linger(500)
    await until(() => program.lines.length === 1)
    first.kill('SIGKILL')
    const killedAt = Date.now()
    const second = program.worker()
    await until(() => program.lines.some((line) => line.startsWith(`${second.pid} `)), 40_000)
    expect(Date.now() - killedAt).to.be.below(30_000)
    await until(() => program.isDone())
    expect(program.lines.map((line) => line.split(' ').slice(2).join(' '))).to.deep.equal(['start 1', 'start 2', 'end'])
  })

  it('fail a job that kills them again and again when its attempts are used, and not before', async () => {
    const program = await start({ settings: SHORT })
    await backgrounded(await program.save('poison'), { attempts: 5 }).linger(60_000)
    for (let death = 1; death <= 5; death++) {
      const worker = program.worker()
      await until(() => program.lines.length === death, 30_000)
      worker.kill('SIGKILL')
    }
    const last = program.worker()
    await until(async () => (await program.handler.counts()).failed === 1, 30_000)
    const [job] = await program.handler.find({ state: 'failed' })
    expect(job?.error).to.match(/WorkerDiedError.*attempt 5/)
    expect(program.lines.length).to.equal(5)
    last.kill('SIGTERM')
    await last.exited
  })

  it('never run a job with one attempt again after a death', async () => {
    const program = await start({ settings: SHORT })
    const first = program.worker()
    await backgrounded(await program.save('once')).onlyOnce(60_000)
    await until(() => program.lines.length === 1)
    first.kill('SIGKILL')
    program.worker()
    await until(async () => (await program.handler.counts()).failed === 1, 30_000)
    expect(program.lines.length).to.equal(1)
  })

  it('run jobs whose last worker died in up to half of their slots', async () => {
    const program = await start({ settings: SHORT })
    const first = program.worker('-c', '5')
    await backgrounded(await program.tasks(5)).linger(300)
    await until(() => program.lines.length === 5)
    first.kill('SIGKILL')
    program.worker('-c', '5')
    await until(async () => program.lines.length === 15 && (await program.isDone()), 30_000)
    let running = 0
    const again = program.lines.slice(5).map((line) => (running += line.split(' ')[2] === 'start' ? 1 : -1))
    expect(Math.max(...again)).to.equal(2)
  })

  it('run a method only once that blocks the event loop for twice the lease', async () => {
    const program = await start({ settings: SHORT })
    const first = program.worker()
    await first.started()
    await backgrounded(await program.save('busy')).block(4_000)
    await until(() => program.lines.length === 1)
    const second = program.worker()
    await second.started()
    await until(async () => program.lines.length === 2 && (await program.isDone()), 30_000)
    expect(program.lines).to.deep.equal([`${first.pid} 1 start 1`, `${first.pid} 1 end 1`])
  })

  it('run such a method again if their connections cannot be made in a thread, and say so at the start', async () => {
    const program = await start({ settings: SHORT, createClient: true })
    const first = program.worker()
    await first.started()
    expect(first.output).to.include('the heartbeat shares the event loop')
    await backgrounded(await program.save('busy'), { attempts: 2 }).block(4_000)
    await until(() => program.lines.length === 1)
    const second = program.worker()
    await until(() => program.lines.includes(`${second.pid} 1 end 2`), 30_000)
    await until(() => first.output.includes('lost the lease'))
    expect(program.lines).to.include.members([`${first.pid} 1 start 1`, `${first.pid} 1 end 1`])
  })

  it('notice that they have lost their lease when they were suspended for longer than it', async () => {
    const program = await start({ settings: SHORT })
    const first = program.worker()
    await first.started()
    await backgrounded(await program.save('paused')).linger(1_000)
    await until(() => program.lines.length === 1)
    first.kill('SIGSTOP')
    const second = program.worker()
    await until(() => program.lines.some((line) => line === `${second.pid} 1 end`), 30_000)
    first.kill('SIGCONT')
    await until(() => first.output.includes('lost the lease'))
    expect(await program.handler.counts()).to.include({ failed: 0, waiting: 0, running: 0 })
  })

  it('wait for the running job on SIGTERM, and release one that does not end in time without using an attempt', async () => {
    const program = await start()
    const [short, endless, waiting] = await program.tasks(3)
    const worker = program.worker('--shutdown-timeout', '1s', '-c', '2')
    await worker.started()
    await backgrounded(short!).linger(300)
    await backgrounded(endless!).linger(60_000)
    await until(() => program.lines.length === 2)
    await backgrounded(waiting!).run()
    worker.kill('SIGTERM')
    expect((await worker.exited).code).to.equal(0)
    expect(program.lines.filter((line) => line.endsWith('end'))).to.deep.equal([`${worker.pid} ${short!.id} end`])
    const jobs = await program.handler.find({ state: 'waiting' })
    expect(jobs.map(({ attempt }) => attempt)).to.deep.equal([0, 0])
  })

  it('drain with --once: print the counts, and exit with 1 only when a job failed', async () => {
    const program = await start()
    const task = await program.save('one')
    await backgrounded([task, task]).run()
    const first = program.worker('--once')
    expect((await first.exited).code).to.equal(0)
    expect(first.output).to.include('{"completed":2,"retried":0,"failed":0,"discarded":0,"released":0}')
    await backgrounded(task).fail()
    const second = program.worker('--once')
    expect((await second.exited).code).to.equal(1)
  })

  it('see no job of another application or data source on the same Redis', async () => {
    const prefix = uniquePrefix()
    const programs = await Promise.all([
      start({ prefix, source: 'billing' }),
      start({ prefix, source: 'mail' }),
      start({ prefix: uniquePrefix(), source: 'mail' }),
    ])
    const workers = programs.map((program) => program.worker())
    await Promise.all(workers.map((worker) => worker.started()))
    for (const [index, program] of programs.entries()) {
      const task = await program.save(`of-${index}`)
      await backgrounded(Array(20).fill(task) as (typeof task)[], { manager: program.dataSource.manager }).run()
    }
    await until(() => programs.every((program) => program.lines.length === 20))
    for (const [index, program] of programs.entries()) {
      expect(new Set(program.lines)).to.deep.equal(new Set([`${workers[index]!.pid} 1 of-${index}`]))
    }
  })
})

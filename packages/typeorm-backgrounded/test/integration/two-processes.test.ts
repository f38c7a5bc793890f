import { expect } from 'chai'
import { join } from 'node:path'
import type { DataSource } from 'typeorm'
import { backgrounded } from '../../src'
import { BackgroundedJob } from '../../src/handlers/database'
import { temporaryDirectory } from '../support/data-sources'
import { linesOf, until, WorkerProcess } from '../support/worker-process'
import type { Task } from './fixtures/data-source'

const fixture = join(__dirname, 'fixtures/data-source.js')

/** A producer in this process, workers in others, one SQLite file between them. */
describe('a producer and workers on one SQLite file', function () {
  this.timeout(120_000)
  let dataSource: DataSource
  let Task: typeof import('./fixtures/data-source').Task
  let env: Record<string, string>
  let log: string
  const workers: WorkerProcess[] = []

  beforeEach(async () => {
    const directory = temporaryDirectory()
    log = join(directory, 'runs.log')
    env = { DATABASE_FILE: join(directory, 'tasks.sqlite'), RUN_LOG: log }
    Object.assign(process.env, env, { SYNCHRONIZE: '1' })
    delete require.cache[require.resolve(fixture)]
    ;({ dataSource, Task } = require(fixture) as typeof import('./fixtures/data-source'))
    await dataSource.initialize()
  })

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end()))
    await dataSource.destroy()
  })

  const start = (...flags: string[]) => {
    const worker = new WorkerProcess(fixture, { ...env, SYNCHRONIZE: '0' }, flags)
    workers.push(worker)
    return worker
  }
  const save = (title: string): Promise<Task> => dataSource.manager.save(Object.assign(new Task(), { title }))
  const rows = () => dataSource.manager.find(BackgroundedJob, { order: { id: 'ASC' } })
  const empty = async () => (await dataSource.manager.count(BackgroundedJob)) === 0

  it('shows the worker the row as it is when the job runs', async () => {
    const task = await save('old title')
    await backgrounded(task).run()
    await dataSource.manager.update(Task, task.id, { title: 'new title' })
    const worker = start()
    await until(empty)
    expect(linesOf(log)).to.deep.equal([`${worker.pid} ${task.id} new title`])
  })

  it('discards the job of a row that was deleted meanwhile, and keeps the reason', async () => {
    const task = await save('short-lived')
    await backgrounded(task).run()
    await dataSource.manager.delete(Task, task.id)
    start()
    await until(async () => (await rows())[0]?.state === 'discarded')
    expect((await rows())[0]?.error).to.equal('Task {"id":1} is gone.')
    expect(linesOf(log)).to.deep.equal([])
  })

  it('runs the job of a killed worker on another worker', async () => {
    const task = await save('survivor')
    const first = start()
    await first.started()
    await backgrounded(task).linger(3_000)
    await until(() => linesOf(log).length === 1)
    const second = start()
    await second.started()
    const killedAt = Date.now()
    first.kill('SIGKILL')
    await until(
      () => linesOf(log).at(-1) === `${second.pid} ${task.id} end`,
      35_000,
      () => second.output,
    )
    expect(Date.now() - killedAt).to.be.lessThan(30_000)
    expect(linesOf(log)).to.include(`${second.pid} ${task.id} start 2`)
    await until(empty)
  })

  it('never runs a job with one attempt again after its worker died', async () => {
    const task = await save('fragile')
    const first = start()
    await first.started()
    await backgrounded(task).onlyOnce(60_000)
    await until(() => linesOf(log).length === 1)
    await first.end()
    start()
    await until(async () => (await rows())[0]?.state === 'failed', 30_000)
    expect((await rows())[0]?.error).to.match(/The worker died while it ran this job \(attempt 1\)/)
    expect(linesOf(log)).to.have.length(1)
  })

  it('loses nothing of 1,000 jobs when its workers are killed ten times', async () => {
    const tasks = await dataSource.manager.save(
      Array.from({ length: 1_000 }, (_, index) => Object.assign(new Task(), { title: `t${index}` })),
    )
    await backgrounded(tasks).run()
    for (let kill = 0; kill < 10; kill++) {
      const worker = start()
      const before = linesOf(log).length
      await until(() => linesOf(log).length > before + 20 || linesOf(log).length >= 1_000, 30_000)
      await worker.end()
    }
    start()
    await until(empty, 60_000)
    const seen = new Set(linesOf(log).map((line) => line.split(' ')[1]))
    expect(seen.size).to.equal(1_000)
    expect(linesOf(log).length).to.be.within(1_000, 1_010)
  })

  it('invokes only marked methods, whatever forged rows name, and runs their neighbours', async () => {
    const { id } = await save('sound')
    const forged: [expected: string, row: Record<string, unknown>][] = [
      ['failed', { method: 'constructor' }],
      ['failed', { method: 'toString' }],
      ['failed', { method: '__proto__' }],
      ['failed', { entity: '__proto__' }],
      ['waiting', { method: 'remove' }],
      ['waiting', { method: 'unmarked' }],
      ['waiting', { entity: 'Nobody' }],
      ['failed', { key: '{"id":"abc"}' }],
      ['failed', { key: '{"nope":1}' }],
      ['failed', { key: '[1]' }],
      ['failed', { key: '{"__proto__":1}' }],
      ['failed', { key: '{broken' }],
      ['failed', { args: '{broken' }],
      ['failed', { args: '[1]', types: '{"/0/__proto__/x":"Date"}' }],
    ]
    for (const [, row] of forged)
      await insertRow({ entity: 'Task', key: `{"id":${id}}`, method: 'run', args: '[]', ...row })
    await insertRow({ entity: 'Task', key: `{"id":${id}}`, method: 'run', args: '[]' })
    const worker = start()
    await until(async () => (await rows()).every(({ state, error }) => state !== 'running' && error !== null), 20_000)
    expect(linesOf(log)).to.deep.equal([`${worker.pid} ${id} sound`])
    const states = (await rows()).map(({ state }) => state)
    expect(states.sort()).to.deep.equal(forged.map(([expected]) => expected).sort())
    await backgrounded(await save('after')).run()
    await until(() => linesOf(log).length === 2)
  })

  it('keeps a job whose method holds a transaction open, and lets no other worker have it', async () => {
    const task = await save('slow')
    const first = start()
    await first.started()
    await backgrounded(task).holdTransaction(8_000)
    await until(() => linesOf(log).length === 1)
    const second = start()
    await second.started()
    await until(() => linesOf(log).at(-1)?.endsWith(' end') === true, 30_000)
    await until(empty)
    expect(linesOf(log)).to.deep.equal([`${first.pid} ${task.id} start 1`, `${first.pid} ${task.id} end`])
  })

  it('waits for the running job on SIGTERM, claims no other, and exits with 0', async () => {
    const [one, two] = [await save('one'), await save('two')]
    const worker = start()
    await worker.started()
    await backgrounded(one).linger(1_000)
    await until(() => linesOf(log).length === 1)
    await backgrounded(two).run()
    worker.kill('SIGTERM')
    expect((await worker.exited).code).to.equal(0)
    expect(linesOf(log)).to.deep.equal([`${worker.pid} ${one.id} start 1`, `${worker.pid} ${one.id} end`])
    expect((await rows()).map(({ state }) => state)).to.deep.equal(['waiting'])
  })

  it('releases a job that does not end in time, without using an attempt', async () => {
    const task = await save('endless')
    const worker = start('--shutdown-timeout', '400')
    await worker.started()
    await backgrounded(task).linger(60_000)
    await until(() => linesOf(log).length === 1)
    worker.kill('SIGTERM')
    expect((await worker.exited).code).to.equal(0)
    const [job] = await rows()
    expect([job?.state, job?.attempt, job?.lease]).to.deep.equal(['waiting', 0, null])
  })

  it("aborts the method's signal before the deadline, and does not count its error as a failure", async () => {
    const task = await save('attentive')
    const worker = start('--shutdown-timeout', '4s')
    await worker.started()
    await backgrounded(task).heed(60_000)
    await until(() => linesOf(log).length === 1)
    worker.kill('SIGINT')
    expect((await worker.exited).code).to.equal(0)
    const [job] = await rows()
    expect([job?.state, job?.attempt]).to.deep.equal(['waiting', 0])
  })

  it('exits at once on a second signal, and another worker recovers the job', async () => {
    const task = await save('interrupted')
    const worker = start()
    await worker.started()
    await backgrounded(task).linger(2_000)
    await until(() => linesOf(log).length === 1)
    worker.kill('SIGTERM')
    await until(() => worker.output.includes('stopping'))
    worker.kill('SIGTERM')
    expect((await worker.exited).code).to.equal(143)
    const second = start()
    await until(() => linesOf(log).at(-1) === `${second.pid} ${task.id} end`, 30_000)
  })

  it('drains with --once: prints the counts, and exits with 1 only when a job failed', async () => {
    const task = await save('one')
    await backgrounded([task, task]).run()
    const first = start('--once')
    expect((await first.exited).code).to.equal(0)
    expect(first.output).to.include('{"completed":2,"retried":0,"failed":0,"discarded":0,"released":0}')
    await backgrounded(task).fail()
    const second = start('--once')
    expect((await second.exited).code).to.equal(1)
    expect((await rows())[0]?.error).to.match(/this task fails\n\s+at Task\.fail/)
  })

  async function insertRow(row: Record<string, unknown>): Promise<void> {
    const names = Object.keys(row)
    const sql = `INSERT INTO backgrounded_jobs (${names.map((name) => `"${name}"`).join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
    await dataSource.query(sql, Object.values(row))
  }
})

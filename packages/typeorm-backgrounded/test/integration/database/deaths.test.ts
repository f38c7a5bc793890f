import { expect } from 'chai'
import { backgrounded } from '../../../src'
import { programsOfSuite } from '../../support/database-processes'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

/** A lease so short that a test need not wait for it. */
const SHORT = { lease: 2_000 }

/** How long a method keeps its process busy; by then the lease has ended twice. */
const BLOCK = Number(process.env.BLOCK ?? 5_000)

for (const store of [postgres, mariaDb]) {
  describe(`workers on ${store.name}, when one dies or seems to`, function () {
    this.timeout(180_000 + 3 * BLOCK)
    const start = programsOfSuite()

    before(async function () {
      await store.require(this)
    })

    it('run the 499 jobs beside one that kills every worker, and fail that one when its attempts are used', async () => {
      const program = await start(store, { handler: SHORT })
      const [deadly, ...harmless] = await program.tasks(500)
      const before = await backgrounded(harmless.slice(0, 200)).sign(50)
      const poison = await backgrounded(deadly!).exit()
      const after = await backgrounded(harmless.slice(200)).sign(50)
      program.supervised(2, '-c', '50')
      await until(() => program.isDone(), 120_000)

      const signed = program.lines.filter((line) => !line.includes('exit'))
      expect(new Set(signed.map((line) => line.split(' ')[2]))).to.deep.equal(
        new Set([...before, ...after].map(({ id }) => id)),
      )
      expect(program.lines.filter((line) => line.includes('exit')).map((line) => line.slice(-6))).to.deep.equal([
        'exit 1',
        'exit 2',
        'exit 3',
      ])
      const kept = await program.rows()
      expect(kept.map(({ id, state }) => [id, state])).to.deep.equal([[poison.id, 'failed']])
      expect(kept[0]?.error).to.match(/WorkerDiedError.*attempt 3/)
    })

    it('run the jobs of a dead worker in half of their slots, one right after the other', async () => {
      const program = await start(store, { handler: SHORT })
      const [first] = await program.workers(1, '-c', '20')
      await backgrounded(await program.tasks(20)).lingerAtFirst(60_000)
      await until(() => program.lines.length === 20)
      first!.kill('SIGKILL')
      await program.workers(1, '-c', '20')
      await until(() => program.lines.length > 20, 30_000)
      const begin = Date.now()
      await until(() => program.isDone(), 30_000)
      const took = Date.now() - begin
      let running = 0
      const atATime = program.lines.slice(20).map((line) => (running += line.includes('start') ? 1 : -1))
      expect(Math.max(...atATime)).to.equal(10)
      expect(took, 'a second for each would be a poll for each').to.be.below(10_000)
    })

    it('take over from a worker that was suspended for longer than its lease, whose outcomes then change nothing', async () => {
      const program = await start(store, { handler: SHORT, keepCompleted: '1d' })
      const [first] = await program.workers(1, '-c', '4')
      const ends = ['completed', 'retried', 'discarded', 'released'] as const
      for (const end of ends) await backgrounded(await program.save(end)).endAs(end, 1_500)
      await until(() => program.lines.length === 4)
      first!.kill('SIGSTOP')
      const [second] = await program.workers(1, '-c', '4')
      await until(() => startedBy(second!.pid) !== undefined, 30_000)
      const running = startedBy(second!.pid)

      first!.kill('SIGCONT')
      await until(
        () => first!.output.match(/lost the lease/g)?.length === 4,
        20_000,
        () => first!.output,
      )
      await until(() => program.isDone(), 30_000)
      const rows = await program.rows()
      expect(rows.map(({ state, attempt }) => [state, attempt])).to.deep.equal(ends.map(() => ['completed', 2]))
      expect(program.lines).to.include(`${second!.pid} ${running} end 2`)
      expect(program.lines.filter((line) => line.endsWith('start 2'))).to.have.length(4)

      function startedBy(pid: number): string | undefined {
        return program.lines.find((line) => line.startsWith(`${pid} `))?.split(' ')[1]
      }
    })

    it(`run a method only once that blocks the event loop for ${BLOCK} ms`, async () => {
      const program = await start(store, { handler: { lease: Math.min(20_000, BLOCK / 2.5) } })
      const [first] = await program.workers(1)
      await backgrounded(await program.save('busy')).block(BLOCK)
      await until(() => program.lines.length === 1)
      await program.workers(1)
      await until(async () => program.lines.length > 1 && (await program.isDone()), BLOCK + 30_000)
      expect(program.lines).to.deep.equal([`${first!.pid} 1 start 1`, `${first!.pid} 1 end 1`])
    })

    it('send heartbeats and store outcomes while methods hold every connection of their pool', async () => {
      const program = await start(store, { handler: SHORT, workerPoolSize: 2 })
      const [one, two, three, four] = await program.tasks(4)
      const [first] = await program.workers(1, '-c', '4')
      await backgrounded([three!, four!]).linger(2_000)
      await until(() => program.lines.length === 2)
      await backgrounded([one!, two!]).holdConnection(5_000)
      await until(() => program.lines.length === 4)
      await program.workers(1)
      await until(() => program.lines.filter((line) => line.endsWith(' end')).length === 2)
      await until(async () => (await program.rows()).length === 2)
      expect(program.lines, 'the connections are still held').to.have.length(6)
      await until(() => program.isDone())
      expect(program.lines).to.have.length(8)
      expect(new Set(program.lines.map((line) => line.split(' ')[0]))).to.deep.equal(new Set([`${first!.pid}`]))
    })
  })
}

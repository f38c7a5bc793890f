import { expect } from 'chai'
import { backgrounded, BackgroundedError, type JobReceipt } from '../../../src'
import { programsOfSuite } from '../../support/database-processes'
import { type DatabaseServer, databaseServers } from '../../support/database-servers'
import { heapInUse } from '../../support/heap'
import { until } from '../../support/worker-process'
import type { Task } from '../fixtures/task'

/** How long the server is away, in ms. */
const OUTAGE = Number(process.env.PRODUCER_OUTAGE ?? 3_000)
const LONGEST_CALL = 15_000
const MEGABYTE = 2 ** 20

interface Answer {
  readonly receipt?: JobReceipt
  readonly error?: unknown
  readonly ms: number
}

for (const kind of databaseServers) {
  describe(`calls outside of transactions while ${kind.name} is away`, function () {
    this.timeout(120_000 + OUTAGE)
    const start = programsOfSuite()
    let server: DatabaseServer

    before(async function () {
      await kind.require(this)
    })
    beforeEach(async () => {
      server = await kind.start()
    })
    afterEach(async () => {
      await server.end()
    })

    it('either resolve, and their jobs run, or reject with a typed error, and hold no memory', async () => {
      const program = await start(server)
      const tasks = await program.tasks(1_000)
      await program.workers(1)
      const before = heapInUse()
      const calls: Promise<Answer>[] = []
      let peak = 0
      const call = (task: Task) => {
        calls.push(answerTo(task))
        if (calls.length % 100 === 0) peak = Math.max(peak, heapInUse())
      }
      for (const task of tasks.slice(0, 300)) call(task)
      await Promise.all(calls.slice(0, 200)) // the last ones are on their way
      const stopping = server.stop()
      const begin = Date.now()
      for (const [index, task] of tasks.slice(300, 700).entries()) {
        call(task)
        await until(() => Date.now() - begin >= (index / 400) * OUTAGE)
      }
      await stopping
      await server.restart()
      for (const task of tasks.slice(700)) {
        call(task)
        await calls.at(-1)
      }
      const answers = await Promise.all(calls)
      showAllIsWell(answers)
      const accepted = answers.flatMap(({ receipt }) => receipt?.id ?? [])
      expect(answers.slice(-100).filter(({ error }) => error)).to.deep.equal([])
      await until(() => program.isDone(), 30_000)
      const ran = program.signed
      expect(ran).to.include.members(accepted)
      expect(new Set(ran).size, 'each once').to.equal(ran.length)
      console.log(
        `      ${accepted.length} of 1,000 accepted, ${ran.length} ran; at most ${longest(answers)} ms a call`,
      )
      expect((peak - before) / MEGABYTE).to.be.below(100)
    })

    it('reject with a typed error within 15 s if it keeps its connections and does not answer', async () => {
      const program = await start(server)
      const tasks = await program.tasks(50)
      await backgrounded(tasks[0]!).sign()
      server.freeze()
      const begin = Date.now()
      const calls: Promise<Answer>[] = []
      for (const [index, task] of tasks.entries()) {
        calls.push(answerTo(task))
        await until(() => Date.now() - begin >= index * 100)
      }
      const answers = await Promise.all(calls)
      server.thaw()
      showAllIsWell(answers)
      expect(answers.filter(({ error }) => error)).to.have.length(50)
      await until(async () => (await answerTo(tasks[0]!)).error === undefined)
      const stored = (await program.rows()).length - 2
      console.log(`      at most ${longest(answers)} ms a call; ${stored} of 50 were stored all the same`)
    })
  })
}

async function answerTo(task: Task): Promise<Answer> {
  const begin = performance.now()
  const ms = () => Math.round(performance.now() - begin)
  try {
    return { receipt: await backgrounded(task).sign(), ms: ms() }
  } catch (error) {
    return { error, ms: ms() }
  }
}

function showAllIsWell(answers: readonly Answer[]): void {
  for (const { error } of answers) {
    if (error !== undefined) expect(error).to.be.instanceOf(BackgroundedError).with.property('code').that.is.a('string')
  }
  expect(longest(answers)).to.be.below(LONGEST_CALL)
}

function longest(answers: readonly Answer[]): number {
  return Math.max(...answers.map(({ ms }) => ms))
}

import { expect } from 'chai'
import { backgrounded } from '../../../src'
import { programsOfSuite } from '../../support/database-processes'
import { type DatabaseServer, databaseServers } from '../../support/database-servers'
import { until } from '../../support/worker-process'

/** ms */
const TIMEOUT = 1_000
const GRACE = 1_000
/** Of a machine that does other things too. */
const LATE = 500

for (const kind of databaseServers) {
  describe(`a worker process that gets SIGTERM while ${kind.name} does not answer`, function () {
    this.timeout(60_000)
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

    for (const [how, ms] of [
      ['does not end', 60_000],
      ['ends before the deadline', 500],
    ] as const) {
      it(`ends at its deadline, and a second later at most, if its method ${how}`, async () => {
        const program = await start(server)
        const [task] = await program.tasks(1)
        const [worker] = await program.workers(1, '--shutdown-timeout', String(TIMEOUT))
        if (!task || !worker) throw new Error('nothing was started')
        await backgrounded(task).linger(ms)
        await until(() => program.lines.length === 1)
        server.freeze()
        const stoppedAt = Date.now()
        worker.kill('SIGTERM')
        const { signal } = await worker.exited
        const took = Date.now() - stoppedAt
        await server.kill()
        expect(signal).to.equal(null)
        expect(took).to.be.lessThan(TIMEOUT + GRACE + LATE)
        await server.restart()
      })
    }
  })
}

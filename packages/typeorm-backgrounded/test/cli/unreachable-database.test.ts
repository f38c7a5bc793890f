import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backgrounded } from '../../src'
import { run } from '../support/command-line'
import { temporaryDirectory } from '../support/data-sources'
import { programsOfSuite } from '../support/database-processes'
import { type DatabaseServer, databaseServers } from '../support/database-servers'
import { freePort } from '../support/free-port'
import { until, WorkerProcess } from '../support/worker-process'

const library = join(__dirname, '../../src')

for (const kind of databaseServers) {
  describe(`the worker command, where the ${kind.name} of the data source`, function () {
    this.timeout(60_000)
    const start = programsOfSuite()
    let server: DatabaseServer

    before(async function () {
      await kind.require(this)
      server = await kind.start()
    })
    after(async () => {
      await server?.end()
    })

    it('is down at the start, waits for it, logs that, and works when it is back', async () => {
      const program = await start(server)
      const task = await program.save('it')
      await backgrounded(task).run()
      await server.stop()
      const worker = program.worker()
      await until(() => worker.output.split('the database cannot be reached').length > 3)
      expect(worker.output).to.match(/"level":50.*ECONNREFUSED.*"retryIn":100/)
      await server.restart()
      await worker.started()
      await until(() => program.isDone())
    })

    it('has no such database, ends at once and names it', async () => {
      const { type, host, port, username } = (await start(server)).dataSource.options as unknown as Record<
        string,
        unknown
      >
      const file = dataSourceFile({ type, host, port, username, database: 'not_there' })
      const { code, stderr } = await run(['worker', '-d', file])
      expect(code).to.equal(1)
      expect(stderr).to.match(/not_there.*correct the user, the password and the database of the data source/)
    })
  })
}

describe('the worker command, while it waits for a database', function () {
  this.timeout(30_000)

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends at ${signal}`, async () => {
      const file = dataSourceFile({ type: 'postgres', host: '127.0.0.1', port: await freePort() })
      const worker = new WorkerProcess(file, {})
      await until(() => worker.output.includes('the database cannot be reached'))
      worker.kill(signal)
      expect(await worker.exited).to.deep.equal({ code: 0, signal: null })
    })
  }

  it('does not wait with --once, because a scheduler will run it again', async () => {
    const file = dataSourceFile({ type: 'postgres', host: '127.0.0.1', port: await freePort() })
    const { code, stderr } = await run(['worker', '--once', '-d', file])
    expect(code).to.equal(1)
    expect(stderr).to.include('ECONNREFUSED')
  })
})

function dataSourceFile(options: object): string {
  const file = join(temporaryDirectory(), 'data-source.js')
  writeFileSync(
    file,
    `
    const { DataSource } = require(${JSON.stringify(require.resolve('typeorm'))})
    const { withBackgrounded } = require(${JSON.stringify(library)})
    const { DatabaseHandler } = require(${JSON.stringify(join(library, 'handlers/database'))})
    exports.dataSource = withBackgrounded(new DataSource(${JSON.stringify({ ...options, entities: [] })}), {
      handler: new DatabaseHandler(),
    })
    `,
  )
  return file
}

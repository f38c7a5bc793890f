import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DataSource } from 'typeorm'
import { temporaryDirectory } from '../support/data-sources'
import { until } from '../support/worker-process'

describe('an application that runs a worker with signals', function () {
  this.timeout(30_000)
  let child: ChildProcess
  let output: string
  let file: string
  let exited: Promise<unknown[]>

  async function start(ms: number, patience: number): Promise<void> {
    file = join(temporaryDirectory(), 'app.sqlite')
    output = ''
    const env = { ...process.env, FILE: file, MS: String(ms), PATIENCE: String(patience) }
    child = spawn(process.execPath, [join(__dirname, 'fixtures/program-with-worker.js')], { env })
    exited = once(child, 'exit')
    child.stdout?.on('data', (chunk) => (output += chunk))
    child.stderr?.on('data', (chunk) => (output += chunk))
    await until(
      () => output.includes('STARTED'),
      20_000,
      () => output,
    )
  }
  afterEach(() => child.kill('SIGKILL'))

  async function jobs(): Promise<{ state: string; attempt: number }[]> {
    const dataSource = await new DataSource({ type: 'better-sqlite3', database: file }).initialize()
    const rows = await dataSource.query('SELECT state, attempt FROM backgrounded_jobs')
    await dataSource.destroy()
    return rows as { state: string; attempt: number }[]
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`waits for its jobs at ${signal}, and goes on after run()`, async () => {
      await start(500, 10_000)
      child.kill(signal)
      expect(await exited).to.deep.equal([0, null])
      expect(output.trim().split('\n').slice(-2)).to.deep.equal(['WORKED', 'ENDED 0 0'])
      expect(await jobs()).to.deep.equal([])
    })
  }

  it('exits although a method does not end in time, after releasing its job', async () => {
    await start(600_000, 300)
    child.kill('SIGTERM')
    expect(await exited).to.deep.equal([0, null])
    expect(output).to.include('handed back jobs that did not end in time').and.not.include('ENDED')
    expect(await jobs()).to.deep.equal([{ state: 'waiting', attempt: 0 }])
  })

  it('ends at once at a second signal', async () => {
    await start(600_000, 600_000)
    child.kill('SIGTERM')
    child.kill('SIGINT')
    const [code] = (await exited) as [number]
    expect(code).to.be.oneOf([128 + 2, 128 + 15])
  })
})

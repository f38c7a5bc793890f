import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Heartbeat, type HeartbeatOptions } from '../../../src/handlers/heartbeat/heartbeat'
import { temporaryDirectory } from '../../support/data-sources'
import { linesOf, until } from '../../support/worker-process'

const thread = join(__dirname, 'fixtures/thread.js')

describe('a heartbeat', () => {
  const warnings: object[] = []
  let heartbeat: Heartbeat | undefined
  let gaps = 0
  let beatsHere = 0

  afterEach(async () => {
    await heartbeat?.stop()
    warnings.length = 0
    gaps = beatsHere = 0
  })

  function start(options: Partial<HeartbeatOptions>): void {
    heartbeat = new Heartbeat({
      every: 20,
      pulse: () => ({
        beat: () => {
          beatsHere++
          return Promise.resolve(beatsHere > 1)
        },
        close() {},
      }),
      onGap: () => gaps++,
      logger: { debug() {}, info() {}, error() {}, warn: (fields) => warnings.push(fields) },
      ...options,
    })
  }

  it('goes on while the event loop is busy', async () => {
    const file = join(temporaryDirectory(), 'beats')
    start({ thread: { file: thread, data: { file } } })
    await until(() => linesOf(file).length > 0)
    const before = linesOf(file).length
    for (const begin = Date.now(); Date.now() - begin < 500;);
    expect(linesOf(file).length - before).to.be.above(5)
    expect([beatsHere, warnings.length]).to.deep.equal([0, 0])
  })

  it('comes from the event loop, and says so, if a thread cannot be given what it needs', async () => {
    start({ thread: { file: thread, data: { connect: () => {} } } })
    await until(() => beatsHere > 2)
    expect(warnings).to.have.length(1)
  })

  it('reports its first beat, also from a thread', async () => {
    const file = join(temporaryDirectory(), 'beats')
    start({ thread: { file: thread, data: { file } } })
    await heartbeat?.firstBeat
    expect(linesOf(file)).not.to.have.length(0)
    await heartbeat?.stop()
    start({})
    await heartbeat?.firstBeat
    expect(beatsHere).to.equal(1)
  })

  it('reports a gap', async () => {
    start({})
    await until(() => beatsHere > 2)
    expect(gaps).to.equal(1)
    expect(warnings).to.have.length(0)
  })

  it('ends with its worker', async () => {
    start({})
    await until(() => beatsHere > 0)
    await heartbeat?.stop()
    const beats = beatsHere
    const stoppedAt = Date.now()
    await until(() => Date.now() - stoppedAt > 60)
    expect(beatsHere).to.equal(beats)
  })

  it('ends a process whose event loop hangs, and names the method', async () => {
    const child = spawn(process.execPath, [join(__dirname, 'fixtures/hanging.js')], {
      env: { ...process.env, BEATS: join(temporaryDirectory(), 'beats') },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    child.stderr.on('data', (chunk) => (output += chunk))
    const [, signal] = await once(child, 'close')
    expect(signal).to.equal('SIGKILL')
    expect(output).to.include('while running User.findPrimes (5)')
  })

  it('does not end a process that may have a debugger attached, because a breakpoint looks like a hang', async () => {
    const child = spawn(process.execPath, ['--inspect=127.0.0.1:0', join(__dirname, 'fixtures/hanging.js')], {
      env: { ...process.env, BEATS: join(temporaryDirectory(), 'beats'), HANGS_FOR: '4500' },
      stdio: 'ignore',
    })
    const [code, signal] = await once(child, 'close')
    expect([code, signal]).to.deep.equal([0, null])
  })
})

import { expect } from 'chai'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import pino from 'pino'
import { QueryFailedError } from 'typeorm'
import { consoleLogger, type Logger } from '../../src/logger'
import { childLogger, guarded } from '../../src/reporting/guarded-logger'
import { oddErrors } from '../support/odd-errors'

interface Line {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly message: string
}

class Recorder implements Logger {
  readonly lines: Line[] = []
  debug = this.level('debug')
  info = this.level('info')
  warn = this.level('warn')
  error = this.level('error')

  private level(level: string) {
    return (fields: object, message: string) =>
      void this.lines.push({ level, fields: fields as Record<string, unknown>, message })
  }
}

/** What pino has printed. */
class Printed extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** What is on the console meanwhile, and not really there. */
function onConsole(work: () => void): string {
  const lines: unknown[][] = []
  const { warn, error } = console
  console.warn = console.error = (...line: unknown[]) => void lines.push(line)
  try {
    work()
  } finally {
    Object.assign(console, { warn, error })
  }
  return lines.map((line) => line.map((each) => (typeof each === 'string' ? each : inspect(each))).join(' ')).join('\n')
}

function errorOf({ lines }: Recorder): Error & { code?: unknown } {
  return lines[0]?.fields.err as Error
}

describe('what is logged', () => {
  let recorder: Recorder
  let logger: Logger
  beforeEach(() => {
    recorder = new Recorder()
    logger = guarded(recorder)
  })

  for (const [title, error] of oddErrors()) {
    it(`shows any thrown value, also through pino: ${title}`, () => {
      const printed = new Printed()
      for (const each of [logger, guarded(pino(printed))]) {
        each.error({ err: error }, 'it failed')
        childLogger(each, { job: 1 }).error({ err: error }, 'the method says')
      }
      expect(recorder.lines.map(({ message }) => message)).to.deep.equal(['it failed', 'the method says'])
      expect(printed.text.split('\n').filter(Boolean)).to.have.length(2)
      expect(errorOf(recorder)).to.be.an.instanceOf(Error)
    })
  }

  it('shows the name, message, code, stack and causes of an error', () => {
    class TooHot extends Error {
      override name = 'TooHot'
      code = 'E_HOT'
    }
    logger.error({ err: new TooHot('42 °C', { cause: new RangeError('no fan') }) }, 'stopped')

    const error = errorOf(recorder)
    expect(error).to.include({ name: 'TooHot', message: '42 °C', code: 'E_HOT' })
    expect(error.stack).to.match(/^TooHot: 42 °C\n {4}at .*guarded-logger\.test/)
    expect(error.cause).to.include({ name: 'RangeError', message: 'no fan' })
  })

  it('looks like the error itself in the output of pino', () => {
    const printed = new Printed()
    guarded(pino(printed)).error({ err: new TypeError('odd', { cause: new Error('older') }) }, 'stopped')

    const { err } = JSON.parse(printed.text) as { err: { type: string; message: string; stack: string } }
    expect(err).to.include({ type: 'TypeError', message: 'odd: older' })
    expect(err.stack).to.match(/^TypeError: odd\n {4}at .*\n[^]*\ncaused by: Error: older\n {4}at /)
  })

  it('holds no field that a driver has added to its error', () => {
    const ioredis = Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['hunter2'] } })
    const mysql = Object.assign(new Error('Duplicate entry'), {
      code: 'ER_DUP_ENTRY',
      sql: `INSERT INTO x VALUES ('hunter2')`,
      sqlMessage: 'hunter2',
      parameters: ['hunter2'],
    })
    const typeorm = new QueryFailedError(`SELECT 'hunter2'`, ['hunter2'], mysql)
    for (const err of [ioredis, mysql, typeorm, new Error('outer', { cause: typeorm })]) {
      const printed = new Printed()
      guarded(pino(printed)).error({ err }, 'failed')
      childLogger(guarded(pino(printed)), {}).error({ err, again: err }, 'failed')
      logger.error({ err, nested: { list: [err] } }, 'failed')
      expect(printed.text + inspect(recorder.lines, { depth: 9, showHidden: true })).not.to.include('hunter2')
    }
  })

  it('leaves the error itself as it is', () => {
    const error = Object.freeze(new Error('frozen'))
    logger.error({ err: error }, 'failed')
    expect(errorOf(recorder)).not.to.equal(error)
    expect(Object.keys(error)).to.deep.equal([])
  })

  it('is short, even if a name or a message is long', () => {
    const long = 'x'.repeat(10_000_000)
    const error = Object.assign(new Error(long, { cause: new Error(long) }), { name: long, code: long })
    const printed = new Printed()
    const child = childLogger(guarded(pino(printed)), { entity: long })
    guarded(pino(printed)).error(
      { err: error, job: { id: long, entity: long, method: [long], key: { [long]: long } } },
      long,
    )
    child.error({ err: error }, 'failed')
    expect(printed.text.length).to.be.below(250_000)
  })

  it('still ends with the stack after a message of 10 MB', () => {
    logger.error({ err: new Error('x'.repeat(10_000_000)) }, 'failed')
    expect(errorOf(recorder).stack).to.include('guarded-logger.test')
  })

  it('takes milliseconds for a stack of blank lines, as of a message that was changed later', () => {
    const error = new Error(`<html>${'\n'.repeat(20_000)}</html>`)
    expect(error.stack).to.include('guarded-logger.test')
    error.message = `reading the feed: ${error.message}`
    const start = performance.now()
    logger.error({ err: error }, 'failed')
    expect(performance.now() - start).to.be.below(100)
    expect(errorOf(recorder).stack).to.include('guarded-logger.test')
  })

  it('cannot forge another line, or send commands to a terminal', () => {
    const forged = '\r\n{"level":30,"msg":"all is well"}\u001b[2J\u2028\u202e\ud800'
    const error = Object.assign(new Error(`a${forged}`), { name: `N${forged}` })
    logger.error({ err: error, job: { entity: forged, [forged]: 1 }, queue: forged, list: [forged] }, `m${forged}`)

    const [line] = recorder.lines
    for (const text of [line?.message, error.message === '' ? '' : errorOf(recorder).message, errorOf(recorder).name]) {
      expect(text).to.include('\\r\\n{"level"').and.include('\\u001b[2J\\u2028\\u202e\\ud800')
    }
    const stack = errorOf(recorder).stack?.split('\n').slice(1) ?? []
    for (const each of stack) expect(each).to.match(/^ {4}\S/)
    const shown = JSON.stringify(line?.fields)
    expect(shown)
      .to.include('\\\\r\\\\n{')
      .and.not.match(/(?<!\\)\\u001b/)
  })

  it('cannot forge a line by a made-up stack', () => {
    const error = Object.assign(new Error('x'), {
      stack: 'Error: x\n    at a (b.js:1:1)\nforged: all is well\r\u001b[2J',
    })
    logger.error({ err: error }, 'failed')
    expect(errorOf(recorder).stack).to.equal('Error: x\n    at a (b.js:1:1)\n    forged: all is well\\r\\u001b[2J')
  })

  it('shows the errors of an AggregateError, such as one for each address of a host', () => {
    const none = new AggregateError([
      new Error('connect ECONNREFUSED ::1'),
      new Error('connect ECONNREFUSED 127.0.0.1'),
    ])
    logger.error({ err: none }, 'failed')
    expect(errorOf(recorder).message).to.equal('connect ECONNREFUSED ::1, connect ECONNREFUSED 127.0.0.1')
  })

  it("leaves the application's own lines as they are, except for errors", () => {
    const order = new Map([['a', 1]])
    childLogger(logger, { job: 7 }).info({ order, text: 'a\nb' }, 'two\nlines')
    expect(recorder.lines).to.deep.equal([
      { level: 'info', fields: { job: 7, order, text: 'a\nb' }, message: 'two\nlines' },
    ])
  })
})

describe('a logger that fails', () => {
  const closed = () => {
    throw new Error('the transport is closed')
  }
  const rejecting = () => Promise.reject(new Error('the log server is away')) as unknown as void
  const stubborn = () =>
    ({
      get then() {
        throw new Error('no then')
      },
    }) as unknown as void
  const failures: Record<string, () => void> = { 'that throws': closed, 'whose then throws': stubborn }

  for (const [title, fail] of Object.entries(failures)) {
    it(`does no harm, and its warnings go to the console: one ${title}`, () => {
      const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail, child: fail as () => Logger }
      const seen = onConsole(() => {
        for (const each of [guarded(logger), childLogger(guarded(logger), { job: 1 })]) {
          each.debug({}, 'd')
          each.info({}, 'i')
          each.warn({ queue: 'mail' }, 'the warning')
          each.error({ err: new Error('the reason') }, 'the error')
        }
      })
      expect(seen).to.include('the warning').and.include('mail').and.include('the error').and.include('the reason')
    })
  }

  it('does no harm when it rejects', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    const { error } = console
    const printed = new Promise((resolve) => (console.error = resolve))
    try {
      const logger = { debug: rejecting, info: rejecting, warn: rejecting, error: rejecting }
      guarded(logger).error({}, 'lost')
      childLogger(guarded(logger), {}).info({}, 'lost')
      expect(await printed).to.include('lost')
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      console.error = error
      process.off('unhandledRejection', note)
    }
    expect(unhandled).to.deep.equal([])
  })

  it('may be a pino logger whose transport is closed', async () => {
    const transport = pino.transport({ target: 'pino/file', options: { destination: '/dev/null' } })
    const logger = guarded(pino(transport))
    transport.on('error', () => {}) // of the application's stream, at every line that comes too late
    transport.end()
    await once(transport, 'close')
    onConsole(() => logger.error({ err: new Error('late') }, 'after the end'))
  })

  it('may be the console', () => {
    const { warn } = console
    console.warn = closed
    try {
      guarded(consoleLogger).warn({}, 'unheard')
    } finally {
      console.warn = warn
    }
  })

  it('is guarded once', () => {
    expect(guarded(guarded(consoleLogger))).to.equal(guarded(consoleLogger))
  })
})

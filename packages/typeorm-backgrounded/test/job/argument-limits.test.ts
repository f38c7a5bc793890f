import { expect } from 'chai'
import { MalformedJobError, PayloadTooLargeError, InvalidArgumentError } from '../../src/errors'
import { decodeArguments } from '../../src/job/arguments/decode'
import { encodeArguments } from '../../src/job/arguments/encode'
import { readEnvelope } from '../../src/job/envelope'
import type { JsonValue } from '../../src/job/json'

class Row {}
const referenceTo = (value: object) => (value instanceof Row ? { entity: 'Row', key: { id: 1 } } : undefined)

/** Less than what these take without a limit, in ms of this process: others may be at work on the machine. */
const AT_ONCE = 3_000

function processTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function errorOf(work: () => unknown): unknown {
  const since = processTime()
  try {
    work()
  } catch (error) {
    expect(processTime() - since).to.be.lessThan(AT_ONCE)
    return error
  }
  throw new Error('it was taken')
}

const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

describe('arguments that a job cannot hold', () => {
  const tooLarge: Record<string, () => unknown> = {
    'a million Dates': () => many(1_000_000, () => new Date()),
    'a sparse array': () => Object.assign([], { length: 4_000_000_000 }),
    'a sparse array within a Map': () => new Map([['a', Object.assign([], { length: 100_000_000 })]]),
    'three million numbers': () => many(3_000_000, () => 1),
    'a million empty objects': () => many(2_000_000, () => ({})),
    'a million times undefined': () => many(1_000_000, () => undefined),
    'a million bigints': () => many(1_000_000, () => 1n),
    'a Set of a million': () => new Set(many(1_500_000, (index) => index)),
    'a Map of a million': () => new Map(many(1_500_000, (index) => [index, index])),
    'a million references to one row': () => many(1_000_000, () => new Row()),
    'one object in itself a million times': () => {
      const shared = many(1_000, () => 'shared')
      return many(1_000, () => shared)
    },
    'a billion laughs': () => many(9, () => 0).reduce<unknown>((inner) => many(10, () => inner), 'ha'),
    'a text of ten million letters': () => 'x'.repeat(10_000_000),
    'a Buffer of ten million bytes': () => Buffer.alloc(10_000_000),
    'an object with a million names': () => Object.fromEntries(many(1_000_000, (index) => [`n${index}`, index])),
    'a property with a name of ten million letters': () => ({ ['x'.repeat(10_000_000)]: 1 }),
  }
  for (const [title, make] of Object.entries(tooLarge)) {
    it(`are refused as soon as they exceed the limit: ${title}`, () => {
      const value = make()
      const error = errorOf(() => encodeArguments(['first', { deep: value }], referenceTo))
      expect(error).to.be.instanceOf(PayloadTooLargeError)
      expect((error as Error).message).to.match(/args\[1\]\.?/)
    })
  }

  it('are refused if they are nested too deeply, with the beginning of the path', () => {
    const deep = many(50_000, () => 0).reduce<unknown>((inner) => [inner], 'x')
    const error = errorOf(() => encodeArguments([deep], referenceTo)) as InvalidArgumentError
    expect(error).to.be.instanceOf(InvalidArgumentError)
    expect(error.message).to.match(/^args\[0\]\[0\]\[0\]/)
    expect(error.message.length).to.be.lessThan(1_000)
  })

  it('are refused if they are bigints that would take seconds to print', () => {
    const huge = 1n << 40_000_000n
    for (const value of [huge, -huge]) {
      const error = errorOf(() => encodeArguments([[value]], referenceTo)) as InvalidArgumentError
      expect(error).to.be.instanceOf(InvalidArgumentError)
      expect(error.path).to.equal('args[0][0]')
    }
  })

  it('are accepted just below the limit', () => {
    const largest = 10n ** 10_000n - 1n
    const nested = many(900, () => 0).reduce<unknown>((inner) => [inner], largest)
    const text = 'x'.repeat(4_000_000)
    const { args, types = {} } = encodeArguments([nested, text, -largest], referenceTo)
    const stored = JSON.parse(JSON.stringify(args)) as JsonValue[]
    expect(decodeArguments(stored, types, new Map())).to.deep.equal([nested, text, -largest])
  })
})

describe('stored arguments that are forged to be too large', () => {
  it('are refused with a bigint that would take seconds to read', () => {
    const digits = '9'.repeat(10_000_000)
    expect(errorOf(() => decodeArguments([digits], { '/0': 'bigint' }, new Map()))).to.be.instanceOf(MalformedJobError)
  })

  it('are refused before they are parsed', () => {
    const text = `[${'1,'.repeat(20_000_000)}1]`
    for (const field of ['args', 'types', 'key', 'meta']) {
      const error = errorOf(() => readEnvelope({ entity: 'Row', method: 'x', [field]: text }))
      expect(error).to.be.instanceOf(MalformedJobError)
    }
  })

  it('are read in time with as many types as the limit allows', () => {
    const args: JsonValue[] = [many(200_000, () => null)]
    const types = Object.fromEntries(many(200_000, (index) => [`/0/${index}`, 'undefined']))
    const since = processTime()
    decodeArguments(args, types, new Map())
    expect(processTime() - since).to.be.lessThan(AT_ONCE)
  })
})

import { expect } from 'chai'
import { createContext, runInContext } from 'node:vm'
import { InvalidArgumentError, MalformedJobError } from '../../src/errors'
import { decodeArguments, storedReferences } from '../../src/job/arguments/decode'
import { encodeArguments } from '../../src/job/arguments/encode'
import type { StoredReference } from '../../src/job/arguments/stored-reference'
import type { JsonValue } from '../../src/job/json'

class Row {
  constructor(readonly id: number) {}
}

const referenceTo = (value: object): StoredReference | undefined =>
  value instanceof Row ? { entity: 'Row', key: { id: value.id } } : undefined

/** What a worker reads of these arguments, after they have been JSON text. */
function throughText(...args: unknown[]): unknown[] {
  const text = JSON.stringify(encodeArguments(args, referenceTo))
  const stored = JSON.parse(text) as { args: JsonValue[]; types?: Record<string, string> }
  const { args: json, types = {} } = stored
  const rows = [...storedReferences(json, types)].map(([at, { key }]) => [at, new Row(key.id as number)] as const)
  return decodeArguments(json, types, new Map(rows))
}

function refusalOf(...args: unknown[]): InvalidArgumentError {
  try {
    encodeArguments(args, referenceTo)
  } catch (error) {
    expect(error).to.be.instanceOf(InvalidArgumentError)
    return error as InvalidArgumentError
  }
  throw new Error('the arguments were taken')
}

function forged(args: JsonValue[], types: Record<string, string>): () => unknown {
  return () => {
    storedReferences(args, types)
    return decodeArguments(args, types, new Map())
  }
}

describe('arguments', () => {
  describe('come back as they were', () => {
    const kept: Record<string, unknown> = {
      'a string with everything': 'a\0b\ud800\u{1F600}"\\/~',
      'an empty string': '',
      'minus zero': -0,
      'the largest number': Number.MAX_VALUE,
      'the smallest number': Number.MIN_VALUE,
      null: null,
      undefined: undefined,
      true: true,
      'a Date': new Date('2026-01-02T03:04:05.678Z'),
      'a Date before Christ': new Date(-100_000_000_000_000),
      'the last Date': new Date(8.64e15),
      'a bigint': -(2n ** 100n),
      'an empty Map': new Map(),
      'a Map with keys of every kind': new Map<unknown, unknown>([
        [new Date(1), 1n],
        [{ a: undefined }, new Map([[undefined, null]])],
        [NaN.toString(), [-0]],
      ]),
      'a Set': new Set<unknown>([1, 1n, new Date(3), [new Set(['x'])]]),
      'a Buffer': Buffer.from([0, 255, 128]),
      'an empty Buffer': Buffer.alloc(0),
      'a sequence of undefined': [undefined, 1, undefined],
      'an object with odd names': { '': 1n, '~': 2n, '/': 3n, '~1': 4n, 'a/b~c': { '~0/': new Date(9) }, length: 5n },
      'an object whose value is undefined': { gone: undefined },
      'an entity': new Row(7),
    }
    for (const [title, value] of Object.entries(kept)) {
      it(`${title}, alone and inside everything that can hold it`, () => {
        expect(throughText(value)).to.deep.equal([value])
        expect(Object.is(throughText(value)[0], -0)).to.equal(Object.is(value, -0))
        const nested = [{ deep: [value, new Map([['k', value]]), new Set([[value]])] }]
        expect(throughText(1, nested)).to.deep.equal([1, nested])
      })
    }

    it('with their prototypes', () => {
      const [buffer, map, date, row] = throughText(Buffer.from('x'), new Map(), new Date(), new Row(1))
      expect(Buffer.isBuffer(buffer)).to.equal(true)
      expect(map).to.be.instanceOf(Map)
      expect(date).to.be.instanceOf(Date)
      expect(row).to.be.instanceOf(Row)
    })

    it('if they are random values', () => {
      const random = randomFrom(20260101)
      for (let round = 0; round < 500; round++) {
        const args = Array.from({ length: Math.floor(random() * 4) }, () => randomValue(random, 4))
        expect(throughText(...args), `round ${round}`).to.deep.equal(args)
      }
    })

    it('with an object that occurs twice as two equal objects', () => {
      const twice = { at: new Date(1) }
      expect(throughText(twice, [twice])).to.deep.equal([twice, [twice]])
    })

    it('an object without a prototype', () => {
      const bare = Object.assign(Object.create(null) as object, { a: 1 })
      expect(throughText(bare)).to.deep.equal([{ a: 1 }])
    })

    it('values that another realm made, as Jest and vm do', () => {
      const realm = createContext({})
      const foreign = runInContext(
        '[{ a: 1 }, [1, 2], new Date(5), new Map([[1, 2]]), new Set([3])]',
        realm,
      ) as unknown[]
      expect(throughText(foreign[0])).to.deep.equal([{ a: 1 }])
      expect(throughText(foreign[1])).to.deep.equal([[1, 2]])
      expect(throughText(foreign[2])).to.deep.equal([new Date(5)])
      expect(throughText(foreign[3])).to.deep.equal([new Map([[1, 2]])])
      expect(throughText(foreign[4])).to.deep.equal([new Set([3])])
    })
  })

  describe('are stored as plain JSON', () => {
    it('without types if JSON can express every value', () => {
      expect(encodeArguments([1, 'a', null, { b: [true] }], referenceTo)).to.deep.equal({
        args: [1, 'a', null, { b: [true] }],
      })
    })

    it('with the types that JSON lacks beside them, by JSON pointer', () => {
      const { args, types } = encodeArguments([new Date(0), { 'a/b': [1n] }, new Row(5)], referenceTo)
      expect(args).to.deep.equal(['1970-01-01T00:00:00.000Z', { 'a/b': ['1'] }, { entity: 'Row', key: { id: 5 } }])
      expect(types).to.deep.equal({ '/0': 'Date', '/1/a~1b/0': 'bigint', '/2': 'entity' })
    })

    it('an object that looks like a stored reference stays an object', () => {
      const lookalike = { entity: 'Row', key: { id: 1 } }
      expect(throughText(lookalike)).to.deep.equal([lookalike])
    })

    it('a string that looks like a stored Date stays a string', () => {
      expect(throughText('1970-01-01T00:00:00.000Z', '10')).to.deep.equal(['1970-01-01T00:00:00.000Z', '10'])
    })
  })

  describe('are refused with the path of the bad value', () => {
    const cyclic: Record<string, unknown> = { list: [] }
    ;(cyclic.list as unknown[]).push(cyclic)
    const cyclicMap = new Map()
    cyclicMap.set('self', cyclicMap)
    class Money {
      constructor(readonly amount: number) {}
    }
    class Ordered<K, V> extends Map<K, V> {}
    class Moment extends Date {}
    const tagged = Object.assign([1], { tag: 'x' })
    const withSymbol = [1]
    Object.defineProperty(withSymbol, Symbol('s'), { value: 1, enumerable: true })

    const refused: [title: string, args: unknown[], path: string, problem: RegExp][] = [
      ['a function', [{ on: { done: () => 1 } }], 'args[0].on.done', /is a function/],
      ['a symbol', [1, [Symbol('s')]], 'args[1][0]', /is a symbol/],
      ['NaN', [[[NaN]]], 'args[0][0][0]', /is NaN/],
      ['Infinity', [{ 'odd name': -Infinity }], 'args[0]["odd name"]', /is -Infinity/],
      ['an instance of a class', [{ price: new Money(1) }], 'args[0].price', /is an instance of Money/],
      ['an Error', [new Error('x')], 'args[0]', /is an instance of Error/],
      ['a RegExp', [/x/], 'args[0]', /is an instance of RegExp/],
      ['a URL', [new URL('http://x')], 'args[0]', /is an instance of URL/],
      ['a Promise', [Promise.resolve()], 'args[0]', /is an instance of Promise/],
      ['a Uint8Array', [new Uint8Array(1)], 'args[0]', /is an instance of Uint8Array/],
      ['a boxed number', [Object(5)], 'args[0]', /is an instance of Number/],
      ['an object with toJSON', [{ a: { toJSON: () => 'b' } }], 'args[0].a', /has a toJSON method/],
      ['an invalid Date', [0, { at: new Date(NaN) }], 'args[1].at', /is an invalid Date/],
      ['a symbol among the keys', [{ a: { [Symbol('s')]: 1 } }], 'args[0].a', /has a symbol among its keys/],
      ['a cycle', [cyclic], 'args[0].list[0]', /contains itself/],
      ['a cycle through a Map', [cyclicMap], 'args[0].entry(0)[1]', /contains itself/],
      ['an array with a property of its own', [{ list: tagged }], 'args[0].list', /properties of its own/],
      ['an array with a symbol of its own', [withSymbol], 'args[0]', /own|symbol/],
      ['a bad value in a Map', [new Map([['a', NaN]])], 'args[0].entry(0)[1]', /is NaN/],
      ['a bad key of a Map', [new Map([[() => 1, 1]])], 'args[0].entry(0)[0]', /is a function/],
      ['a bad item of a Set', [new Set([1, NaN])], 'args[0].item(1)', /is NaN/],
      ['a subclass of Array', [new (class List extends Array {})()], 'args[0]', /own|instance/],
      ['a subclass of Map', [new Ordered()], 'args[0]', /is an instance of Ordered/],
      ['a subclass of Date', [new Moment(0)], 'args[0]', /is an instance of Moment/],
    ]
    for (const [title, args, path, problem] of refused) {
      it(title, () => {
        const { path: found, message, code } = refusalOf(...args)
        expect(found).to.equal(path)
        expect(message).to.match(problem)
        expect(message).to.include(path)
        expect(message).to.include('pass one of those, or the key')
        expect(code).to.equal('INVALID_ARGUMENT')
      })
    }
  })

  describe('keep out of prototypes', () => {
    it('keep a key named __proto__ as an own key', () => {
      const given = JSON.parse('{"__proto__": {"polluted": 1}, "a": 1}') as object
      const [read] = throughText({ deep: [given] }) as [{ deep: [object] }]
      expect(Object.keys(read.deep[0])).to.have.members(['__proto__', 'a'])
      expect(Object.getPrototypeOf(read.deep[0])).to.equal(Object.prototype)
      expect(({} as { polluted?: number }).polluted).to.equal(undefined)
    })

    it('keep a value that JSON lacks under a key named __proto__', () => {
      const given = JSON.parse('{"__proto__": null}') as Record<string, unknown>
      Object.defineProperty(given, '__proto__', { value: new Date(5), enumerable: true })
      const [read] = throughText(given) as [object]
      expect(Object.getOwnPropertyDescriptor(read, '__proto__')?.value).to.deep.equal(new Date(5))
      expect(Object.getPrototypeOf(read)).to.equal(Object.prototype)
    })

    const pointers = [
      '/0/__proto__',
      '/0/__proto__/polluted',
      '/0/constructor',
      '/0/constructor/prototype',
      '/__proto__',
      '/__proto__/0',
      '/1',
      '/0/a/b',
      '/0/missing',
      '',
      '/',
      'nonsense',
    ]
    for (const pointer of pointers) {
      for (const type of ['undefined', 'Map', 'entity', 'Date', '-0', '__proto__', 'constructor', 'toString']) {
        it(`end as malformed, never in a prototype: ${type} at "${pointer}"`, () => {
          expect(forged([{ a: 1 }], { [pointer]: type })).to.throw(MalformedJobError)
          expect(Object.keys(Object.prototype)).to.deep.equal([])
          expect(Object.keys(Array.prototype)).to.deep.equal([])
        })
      }
    }

    const lies: [title: string, args: JsonValue[], types: Record<string, string>][] = [
      ['a Map that is no list', [{ a: 1 }], { '/0': 'Map' }],
      ['a Set that is text', ['abc'], { '/0': 'Set' }],
      ['a Date that is none', ['yesterday-ish'], { '/0': 'Date' }],
      ['a Date that is a number', [5], { '/0': 'Date' }],
      ['a bigint with letters', ['12n'], { '/0': 'bigint' }],
      ['a bigint that is a number', [12], { '/0': 'bigint' }],
      ['a number that is not minus zero', ['NaN'], { '/0': 'number' }],
      ['a Buffer that is a list', [[1]], { '/0': 'Buffer' }],
      ['an entity without a key', [{ entity: 'Row' }], { '/0': 'entity' }],
      ['an entity whose key is a list', [{ entity: 'Row', key: [1] }], { '/0': 'entity' }],
      ['an entity that is null', [null], { '/0': 'entity' }],
      ['an unknown type', [1], { '/0': 'Function' }],
    ]
    for (const [title, args, types] of lies) {
      it(`end as malformed: ${title}`, () => expect(forged(args, types)).to.throw(MalformedJobError))
    }
  })
})

/** Mulberry32: the same values in every run, so that a failure can be looked at. */
function randomFrom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function randomValue(random: () => number, depth: number): unknown {
  const many = <T>(make: () => T) => Array.from({ length: Math.floor(random() * 4) }, make)
  const child = () => randomValue(random, depth - 1)
  const leaves = [
    () => null,
    () => undefined,
    () => random() < 0.5,
    () => (random() - 0.5) * 10 ** Math.floor(random() * 300),
    () => -0,
    () => BigInt(Math.floor(random() * 2 ** 53)) ** 3n,
    () => randomText(random),
    () => new Date(Math.floor((random() - 0.5) * 1e15)),
    () => Buffer.from(randomText(random)),
    () => new Row(Math.floor(random() * 100)),
  ]
  const holders = [
    () => many(child),
    () => Object.fromEntries(many(() => [randomText(random), child()])),
    () => new Map(many(() => [child(), child()])),
    () => new Set(many(child)),
  ]
  const choices = depth > 0 ? [...leaves, ...holders, ...holders] : leaves
  return (choices[Math.floor(random() * choices.length)] as () => unknown)()
}

function randomText(random: () => number): string {
  const alphabet = ['a', 'B', '0', '/', '~', '~1', '"', '\\', ' ', '.', '\0', '\ud83d', 'é', '__proto__', '\u{1F600}']
  return Array.from({ length: Math.floor(random() * 4) }, () => alphabet[Math.floor(random() * alphabet.length)]).join(
    '',
  )
}

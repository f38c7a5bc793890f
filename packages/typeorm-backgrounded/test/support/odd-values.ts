import { DiscardJob, SnoozeJob } from '../../src'

const fails = (name: string) => () => {
  throw new Error(`${name} cannot be read`)
}

function withGetter(property: string): Error {
  return Object.defineProperty(new Error('plain'), property, { get: fails(property) })
}

function revoked(target: object = {}): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

/** A proxy whose every trap throws. */
function prickly(): object {
  return new Proxy(
    {},
    { get: fails('get'), getPrototypeOf: fails('getPrototypeOf'), ownKeys: fails('ownKeys'), has: fails('has') },
  )
}

export function deepArray(depth = 50_000): unknown[] {
  let array: unknown[] = []
  for (let level = 0; level < depth; level++) array = [array]
  return array
}

function cyclic(): object {
  const object: { self?: object } = {}
  object.self = object
  return object
}

function selfCaused(): Error {
  const error = new Error('its own cause')
  error.cause = error
  return error
}

/** Values that code which looks at them carelessly stumbles over, each made when it is asked for. */
export const oddValues: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  'an empty text': () => '',
  'a text of NUL and lone surrogates': () => 'a\0b\ud800c\udfff\\\'"`$1;--',
  'a long text': () => 'x'.repeat(2_000_000),
  'a symbol': () => Symbol('odd'),
  'a bigint': () => 10n ** 30n,
  'a bigint of a million digits': () => 1n << 3_321_928n,
  'a function': () => () => 'called',
  'an invalid date': () => new Date(NaN),
  'an array that is 50,000 deep': () => deepArray(),
  'an object that holds itself': cyclic,
  'an object without a prototype': () => Object.create(null) as unknown,
  'an object whose toString is null': () => ({ toString: null, valueOf: null }),
  'an object whose toPrimitive throws': () => ({ [Symbol.toPrimitive]: fails('toPrimitive') }),
  'an object whose JSON throws': () => ({ toJSON: fails('toJSON') }),
  'a revoked proxy': () => revoked(),
  'a revoked proxy of an error': () => revoked(new Error('once')),
  'a revoked proxy of a function': () => revoked(() => {}),
  'a proxy whose traps throw': prickly,
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error whose message cannot be read': () => withGetter('message'),
  'an error whose stack cannot be read': () => withGetter('stack'),
  'an error whose name cannot be read': () => withGetter('name'),
  'an error whose cause cannot be read': () => withGetter('cause'),
  'an error whose code cannot be read': () => withGetter('code'),
  'an error whose name is a symbol': () => Object.assign(new Error('named'), { name: Symbol('name') }),
  'an error whose message is a symbol': () => Object.assign(new Error(), { message: Symbol('message') }),
  'an error whose code is a symbol': () => Object.assign(new Error('coded'), { code: Symbol('code') }),
  'an error whose cause is a revoked proxy': () => new Error('caused', { cause: revoked() }),
  'an error that is its own cause': selfCaused,
  'an error that is its own driver error': () => {
    const error = new Error('driven')
    return Object.assign(error, { driverError: error })
  },
  'an error with NUL, surrogates and quotes': () => new Error('a\0b\ud800c\\\'"`$1;--'),
  'a list of errors that holds itself': () => {
    const error = new AggregateError([], 'many')
    error.errors.push(error)
    return error
  },
  'a thenable whose then throws': () => ({ then: fails('then') }),
  'a thenable whose then cannot be read': () => Object.defineProperty({}, 'then', { get: fails('then') }),
  'a thenable that rejects with a revoked proxy': () => ({
    then: (_: unknown, reject: (reason: unknown) => void) => reject(revoked()),
  }),
  'a thenable that does both, twice': () => ({
    then(resolve: (value: unknown) => void, reject: (reason: unknown) => void) {
      resolve(1)
      reject(2)
      resolve(3)
      throw new Error('and throws')
    },
  }),
  'a discard whose message cannot be read': () =>
    Object.defineProperty(new DiscardJob('once'), 'message', { get: fails('message') }),
  'a snooze for NaN': () => Object.assign(new SnoozeJob('1h'), { delay: NaN }),
  'a snooze that cannot be read': () =>
    Object.defineProperty(Object.defineProperty(new SnoozeJob('1h'), 'delay', { get: fails('delay') }), 'message', {
      get: fails('message'),
    }),
}

/** What a method, a driver or a stored job may throw, by name: nobody may stumble over it. */
export function oddErrors(): [title: string, thrown: unknown][] {
  const revoked = Proxy.revocable(new Error('revoked'), {})
  revoked.revoke()
  const throwing = (property: string) =>
    Object.defineProperty(new Error('plain'), property, {
      get() {
        throw new Error(`the ${property} cannot be read`)
      },
    })
  const cyclic = Object.assign(new Error('cyclic'), { self: undefined as unknown })
  cyclic.self = cyclic
  const ownCause = new Error('ouroboros')
  ownCause.cause = ownCause
  let nested = new Error('bottom')
  for (let depth = 0; depth < 10_000; depth++) nested = new Error('deeper', { cause: nested })
  const trap = new Proxy(new Error('trapped'), {
    get() {
      throw new Error('no property can be read')
    },
    getPrototypeOf() {
      throw new Error('nor its prototype')
    },
    ownKeys() {
      throw new Error('nor its keys')
    },
  })
  return [
    ['undefined', undefined],
    ['null', null],
    ['a text', 'just text'],
    ['a number', 42],
    ['a symbol', Symbol('odd')],
    ['a function', () => 1],
    ['a bigint', 5n],
    ['a bigint of a million digits', 1n << 3_000_000n],
    ['a plain object', { code: 'E_ODD' }],
    ['an object without a prototype', Object.create(null)],
    ['an object whose toString is null', { toString: null }],
    ['an object whose JSON throws', { toJSON: throwIt }],
    ['an object that wants to show itself', { [Symbol.for('nodejs.util.inspect.custom')]: throwIt, toString: throwIt }],
    ['a revoked proxy', revoked.proxy],
    ['a proxy that lets nobody see', trap],
    ['a frozen error', Object.freeze(new Error('frozen'))],
    ['an error whose message cannot be read', throwing('message')],
    ['an error whose name cannot be read', throwing('name')],
    ['an error whose stack cannot be read', throwing('stack')],
    ['an error whose cause cannot be read', throwing('cause')],
    ['an error whose code cannot be read', throwing('code')],
    ['an error whose errors cannot be read', throwing('errors')],
    ['an error whose name is a symbol', Object.assign(new Error('named'), { name: Symbol('Odd') })],
    ['an error whose message is a symbol', Object.assign(new Error('x'), { message: Symbol('odd') })],
    ['an error whose message is an object', Object.assign(new Error('x'), { message: { toString: throwIt } })],
    ['an error whose stack is a list', Object.assign(new Error('listed'), { stack: ['a', 'b'] })],
    ['an error whose code is an object', Object.assign(new Error('coded'), { code: { toString: throwIt } })],
    ['an error without a prototype', Object.setPrototypeOf(new Error('bare'), null)],
    ['an error with a cycle', cyclic],
    ['an error that is its own cause', ownCause],
    ['an error of ten thousand causes', nested],
    ['an error whose cause is a revoked proxy', new Error('outer', { cause: revoked.proxy })],
    ['an error of many', new AggregateError([1, revoked.proxy, new Error('one')], 'several')],
    ['an error whose errors are a revoked proxy', Object.assign(new Error('x'), { errors: revoked.proxy })],
    ['an error with NUL and halves of characters', new Error('a\0b\ud800c\udfffd')],
  ]
}

function throwIt(): never {
  throw new Error('it does not want to be shown')
}

import { expect } from 'chai'
import { InvalidOptionError } from '../../src/errors'
import { backoffDelay, checkBackoff, defaultBackoff, type Backoff } from '../../src/job/backoff'
import { milliseconds } from '../../src/job/duration'

describe('a backoff', () => {
  it('grows with the fourth power of the attempt by default, with up to 15 % on top', () => {
    for (const attempt of [1, 2, 3, 9]) {
      const least = (attempt ** 4 + 2) * 1000
      const delays = Array.from({ length: 200 }, () => defaultBackoff(attempt))
      expect(Math.min(...delays)).to.be.at.least(least)
      expect(Math.max(...delays)).to.be.at.most(least * 1.15 + 1)
      expect(new Set(delays).size, 'jobs that failed together do not return together').to.be.greaterThan(50)
    }
  })

  it('is a number of ms, or a text', () => {
    expect(backoffDelay(250, 3, undefined)).to.equal(250)
    expect(backoffDelay('5m', 3, undefined)).to.equal(300_000)
    expect(backoffDelay(0, 1, undefined)).to.equal(0)
  })

  it('is a list, one delay for each attempt, whose last one repeats', () => {
    const backoff: Backoff = [10, '1s', '1m']
    expect([1, 2, 3, 4, 99].map((attempt) => backoffDelay(backoff, attempt, undefined))).to.deep.equal([
      10, 1_000, 60_000, 60_000, 60_000,
    ])
  })

  it('is a function of the attempt that failed and of its error', () => {
    const backoff: Backoff = (attempt, error) => (error as Error).message.length * attempt
    expect(backoffDelay(backoff, 2, new Error('abc'))).to.equal(6)
  })

  for (const bad of [-1, NaN, Infinity, '', 'soon', [], [5, -5], [null], null, {}, true] as unknown as Backoff[]) {
    it(`is refused where it is written: ${JSON.stringify(bad)}`, () => {
      expect(() => checkBackoff(bad, 'User.sendWelcome')).to.throw(InvalidOptionError, /backoff/)
    })
  }

  it('that a function returns is checked too', () => {
    expect(() => backoffDelay(() => -1, 1, undefined)).to.throw(InvalidOptionError)
    expect(() => backoffDelay((() => undefined) as never, 1, undefined)).to.throw(InvalidOptionError)
  })
})

describe('a duration', () => {
  const good: [unknown, number][] = [
    [0, 0],
    [1.5, 2],
    ['30s', 30_000],
    ['2 hours', 7_200_000],
    ['1d', 86_400_000],
    ['100', 100],
  ]
  for (const [given, expected] of good) {
    it(`${JSON.stringify(given)} is ${expected} ms`, () => expect(milliseconds(given, 'delay')).to.equal(expected))
  }

  const long = `${'9'.repeat(200)}s`
  for (const bad of [
    -1,
    '-5m',
    NaN,
    Infinity,
    '',
    ' ',
    'five minutes',
    long,
    undefined,
    null,
    {},
    [],
    5n,
    new Date(),
  ]) {
    it(`${typeof bad} ${String(bad).slice(0, 20)} is refused with the option's name and the fix`, () => {
      expect(() => milliseconds(bad, 'delay')).to.throw(InvalidOptionError, /^delay is .*give 0 or more milliseconds/)
    })
  }
})

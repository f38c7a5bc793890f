import { expect } from 'chai'
import { MalformedJobError } from '../../src/errors'
import { dueTime, readEnvelope, type JobEnvelope } from '../../src/job/envelope'

describe('an envelope', () => {
  it('of another language needs only an entity and a method', () => {
    expect(readEnvelope({ entity: 'User', method: 'greet' })).to.deep.equal({
      entity: 'User',
      method: 'greet',
      key: undefined,
      args: [],
      types: undefined,
      source: undefined,
      attempts: undefined,
      enqueuedAt: undefined,
      meta: {},
    })
  })

  it('may hold its parts as JSON text, as SQL columns do', () => {
    const read = readEnvelope({
      entity: 'User',
      method: 'greet',
      key: '{"id":5}',
      args: '["a"]',
      types: '{"/0":"Date"}',
      meta: '{"trace":"x"}',
      attempts: 3,
      enqueuedAt: '2026-01-01T00:00:00.000Z',
      source: 'main',
    })
    expect(read).to.deep.equal({
      entity: 'User',
      method: 'greet',
      key: { id: 5 },
      args: ['a'],
      types: { '/0': 'Date' },
      meta: { trace: 'x' },
      attempts: 3,
      enqueuedAt: Date.UTC(2026, 0, 1),
      source: 'main',
    })
  })

  it('may hold null for everything that may be left out', () => {
    const nothing = { v: null, key: null, args: null, types: null, meta: null, attempts: null, enqueuedAt: null }
    expect(readEnvelope({ entity: 'User', method: 'greet', ...nothing })).to.include({ key: undefined })
  })

  it('ignores what a newer producer of the same version adds', () => {
    expect(readEnvelope({ v: 1, entity: 'User', method: 'greet', colour: 'blue' })).not.to.have.property('colour')
  })

  const job = { entity: 'User', method: 'greet' }
  const malformed: Record<string, unknown> = {
    null: null,
    'a text': 'User.greet',
    'an array': [job],
    'a number': 5,
    'version 2': { ...job, v: 2 },
    'a version that is text': { ...job, v: '1' },
    'no entity': { method: 'greet' },
    'an empty entity': { ...job, entity: '' },
    'an entity that is an object': { ...job, entity: { toString: () => 'User' } },
    'no method': { entity: 'User' },
    'a method that is a number': { ...job, method: 5 },
    'a key that is text but no JSON': { ...job, key: '{id:5}' },
    'a key that is a list': { ...job, key: [5] },
    'a key that is a lone value': { ...job, key: 5 },
    'a key whose text is a lone value': { ...job, key: '5' },
    'args that are no list': { ...job, args: { 0: 1 } },
    'args that are broken JSON': { ...job, args: '["a"' },
    'types that are a list': { ...job, types: ['Date'] },
    'types that hold no text': { ...job, types: { '/0': { toString: null } } },
    'meta that is text but no JSON': { ...job, meta: 'x' },
    'attempts of zero': { ...job, attempts: 0 },
    'attempts that are half': { ...job, attempts: 1.5 },
    'attempts that are text': { ...job, attempts: '3' },
  }
  for (const [title, stored] of Object.entries(malformed)) {
    it(`is malformed: ${title}`, () => expect(() => readEnvelope(stored)).to.throw(MalformedJobError))
  }

  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    it(`must not name ${name}, which every object has`, () => {
      expect(() => readEnvelope({ ...job, method: name })).to.throw(MalformedJobError, name)
      expect(() => readEnvelope({ ...job, entity: name })).to.throw(MalformedJobError, name)
    })
  }
})

describe('the due time of a job', () => {
  const enqueuedAt = new Date(1_000_000).toISOString()
  const base = { enqueuedAt, runAt: enqueuedAt } as JobEnvelope
  const storeNow = 5_000_000

  it("is the store's own time for a job without a delay, whatever the caller's clock says", () => {
    expect(dueTime(base, storeNow)).to.equal(storeNow)
  })

  it("is the store's clock plus the delay", () => {
    const runAt = new Date(1_060_000).toISOString()
    expect(dueTime({ ...base, delay: 60_000, runAt }, storeNow)).to.equal(storeNow + 60_000)
  })

  it('is the runAt of the caller if there is one', () => {
    expect(dueTime({ ...base, runAt: new Date(9_000_000).toISOString() }, storeNow)).to.equal(9_000_000)
  })
})

import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, BackgroundedError, DiscardJob, drain, withBackgrounded } from '../../src'
import { isBackgroundedError } from '../../src/errors'
import { callListener, setCallListener } from '../../src/metadata/registry'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

/** The library once more, as a package with a copy of its own has it. */
function secondCopy(): typeof import('../../src') {
  const kept = { ...require.cache }
  const listener = callListener()
  for (const file of Object.keys(require.cache)) if (/build[\\/]src[\\/]/.test(file)) delete require.cache[file]
  try {
    return require('../../src') as typeof import('../../src')
  } finally {
    for (const file of Object.keys(require.cache)) delete require.cache[file]
    Object.assign(require.cache, kept)
    setCallListener(listener) // the calls of other tests stay with the first copy
  }
}

let thrown: unknown

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() send(): void {
    throw thrown
  }
}

describe('outcomes and errors of a second copy of the library', () => {
  const other = secondCopy()
  const handler = new FakeHandler()
  let dataSource: DataSource
  let parcel: Parcel

  before(async () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    dataSource = await withBackgrounded(inMemory([Parcel]), { handler, logger, outbox: false }).initialize()
    parcel = await dataSource.manager.save(new Parcel())
  })
  beforeEach(() => handler.clear())
  after(() => dataSource.destroy())

  it('are really another copy', () => {
    expect(new other.DiscardJob()).not.to.be.instanceOf(DiscardJob)
    expect(other.BackgroundedError).not.to.equal(BackgroundedError)
  })

  it('count: a DiscardJob ends its job without a failure', async () => {
    thrown = new other.DiscardJob('not needed')
    await backgrounded(parcel).send()
    expect(await drain(dataSource)).to.include({ discarded: 1, failed: 0, retried: 0 })
    expect(handler.ended.map(({ error }) => error)).to.deep.equal(['not needed'])
  })

  it('count: a SnoozeJob gives its job back, without an attempt', async () => {
    thrown = new other.SnoozeJob('1h')
    await backgrounded(parcel).send()
    expect(await drain(dataSource)).to.include({ released: 1, retried: 0 })
  })

  it('count among the errors of the library, by their code', () => {
    expect(isBackgroundedError(new other.MalformedJobError('x'), 'MALFORMED_JOB')).to.equal(true)
    expect(isBackgroundedError(new other.MalformedJobError('x'), 'MISSING_TABLE')).to.equal(false)
    expect(isBackgroundedError(Object.assign(new Error(), { code: 'MALFORMED_JOB' }))).to.equal(false)
  })
})

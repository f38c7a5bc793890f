import { expect } from 'chai'
import { UnknownAnswers } from '../../../src/handlers/database/server/unknown-answers'

describe('a statement without an answer', () => {
  it('may take effect later, so the jobs are compared again for one lease', () => {
    const begin = performance.now()
    const unknown = new UnknownAnswers(60_000, () => {})
    unknown.add()
    unknown.compared()
    expect(unknown.hasAny).to.equal(false)
    unknown.compareAgainAfter(begin + 120_000)
    expect(unknown.hasAny, 'after the lease').to.equal(false)
    unknown.compareAgainAfter(begin + 1)
    expect(unknown.hasAny, 'within the lease').to.equal(true)
  })
})

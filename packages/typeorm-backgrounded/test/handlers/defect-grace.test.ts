import { expect } from 'chai'
import { StoreUnavailableError } from '../../src'
import { DefectGrace } from '../../src/handlers/consumption/defect-grace'

describe('An error that waiting does not mend', () => {
  let now = 0
  let grace: DefectGrace

  beforeEach(() => {
    now = 0
    grace = new DefectGrace(30_000, () => now)
  })

  const errors: [what: string, error: Error][] = [
    ['a missing column', failure('42703')],
    ['a permission', failure('42501')],
    ['a syntax error', failure('42601')],
    ['a password', failure('28P01')],
    ['a missing database', failure('3D000')],
    ['a missing table on MariaDB', failure('ER_NO_SUCH_TABLE')],
    ['a missing column on MariaDB', failure('ER_BAD_FIELD_ERROR')],
    ['a permission on MariaDB', failure('ER_TABLEACCESS_DENIED_ERROR')],
    ['a syntax error on MariaDB', failure('ER_PARSE_ERROR')],
    ['a missing column on SQLite', failure('SQLITE_ERROR', 'no such column: priority')],
    ['a file that may not be written', failure('SQLITE_READONLY', 'attempt to write a readonly database')],
  ]
  for (const [what, error] of errors) {
    it(`ends a worker at its start: ${what}`, () => {
      expect(grace.endsWorker(error)).to.equal(true)
    })
  }

  it('ends a worker that has worked, after half a minute without anything else', () => {
    grace.worked()
    expect(grace.endsWorker(failure('42P01'))).to.equal(false)
    now = 29_999
    expect(grace.endsWorker(failure('42P01'))).to.equal(false)
    now = 30_000
    expect(grace.endsWorker(failure('42P01'))).to.equal(true)
  })

  it('starts a new half minute when the store has worked meanwhile', () => {
    grace.worked()
    grace.endsWorker(failure('42P01'))
    now = 20_000
    grace.worked()
    grace.endsWorker(failure('42P01'))
    now = 40_000
    expect(grace.endsWorker(failure('42P01'))).to.equal(false)
  })

  const outages: [what: string, error: Error][] = [
    ['a server that is down', failure('ECONNREFUSED')],
    ['too many connections', failure('53300')],
    ['too many connections of one user on MariaDB', failure('ER_TOO_MANY_USER_CONNECTIONS')],
    ['a full disk', failure('53100')],
    ['a read-only server', failure('25006')],
    ['a pooler that forgets prepared statements', failure('26000', 'prepared statement "x" does not exist')],
    ['a deadlock', failure('40P01')],
    ['a store that does not answer', new StoreUnavailableError('no answer')],
  ]
  for (const [what, error] of outages) {
    it(`is not ${what}`, () => {
      now = 1e9
      expect(grace.endsWorker(error)).to.equal(false)
    })
  }
})

function failure(code: string, message = 'it says so'): Error {
  return Object.assign(new Error(message), { code })
}

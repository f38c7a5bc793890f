import { expect } from 'chai'
import { repositoryFile } from '../support/repository-file'
import { DIALECTS, fileOf, finishedSql } from './finished-sql'
import { laidOut } from './layout'

describe('The finished SQL', () => {
  for (const dialect of DIALECTS) {
    it(`in ${fileOf(dialect)} is what the source makes`, async () => {
      const isSame = repositoryFile(fileOf(dialect)) === (await finishedSql(dialect))
      expect(isSame, `run "npm run sql" in packages/typeorm-backgrounded to write ${fileOf(dialect)} again`).to.equal(
        true,
      )
    })
  }

  it('is laid out without a change to what it says', () => {
    const sql = `WITH due AS (SELECT id FROM "a  FROM b" WHERE x = 'it''s  SELECT' ORDER BY id FOR UPDATE SKIP LOCKED) DELETE FROM t USING due`
    const lines = laidOut(sql).split('\n')
    expect(lines).to.include('  FOR UPDATE SKIP LOCKED')
    expect(
      lines
        .map((line) => line.trim())
        .join(' ')
        .replace(/(?<=\() | (?=\))/g, ''),
    ).to.equal(sql)
  })
})

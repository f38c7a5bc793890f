import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { generated, latest } from '../../src/report/files'

describe('the documents', () => {
  it('are what the kept result generates', async () => {
    const result = latest()
    if (!result) throw new Error('There is no kept result: npm run bench -- --write')
    for (const [file, content] of Object.entries(await generated(result))) {
      expect(readFileSync(file, 'utf8'), `${file}: npm run bench -- --write`).to.equal(content)
    }
  })
})

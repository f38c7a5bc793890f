import { expect } from 'chai'
import { Consumer } from './consumer'

describe('under Jest', function () {
  this.timeout(120_000)

  it('marks, calls, and keeps every kind of argument in a realm of its own', async () => {
    const consumer = new Consumer('jest', 'package/fixtures/jest')
    expect(await consumer.compile('typescript')).to.deep.equal({ code: 0, output: '' })

    const { code, output } = await consumer.node(require.resolve('jest/bin/jest'), '--runInBand', '--watchman=false')

    expect(code, output).to.equal(0)
    expect(output).to.match(/Tests: +(\d+ skipped, )?\d+ passed, \d+ total/)
  })
})

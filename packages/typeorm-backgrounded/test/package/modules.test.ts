import { expect } from 'chai'
import { Consumer } from './consumer'

describe('the installed package', function () {
  this.timeout(60_000)
  let consumer: Consumer

  before(() => {
    consumer = new Consumer('modules', 'package/fixtures/modules')
  })

  it('has types for a CommonJS and for an ES module', async () => {
    expect(await consumer.compile('typescript')).to.deep.equal({ code: 0, output: '' })
  })

  it('works in a CommonJS program', async () => {
    expect(await consumer.node('commonjs.cjs')).to.deep.equal({
      code: 0,
      output: 'rename Sea to Lake\nperformed\nrename Sea to River\nperformed\ndatabase fake\n',
    })
  })

  it('works in an ES module, and is one with the copy that require() finds', async () => {
    const { code, output } = await consumer.node('esm.mjs')

    expect(output.split('\n')).to.deep.equal([
      'caption Boat with a boat',
      'performed',
      'caption Boat with the boat',
      'performed',
      'rename Sea to Lake',
      'performed',
      'typeorm-backgrounded is one',
      'typeorm-backgrounded/bull is one',
      'typeorm-backgrounded/database is one',
      'typeorm-backgrounded/testing is one',
      '',
    ])
    expect(code).to.equal(0)
  })
})

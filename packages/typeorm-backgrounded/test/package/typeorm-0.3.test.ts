import { expect } from 'chai'
import { join } from 'node:path'
import { Consumer, directoryOf } from './consumer'

describe('with TypeORM 0.3', function () {
  this.timeout(120_000)

  it('type-checks, marks, calls and follows transactions', async () => {
    const consumer = new Consumer('typeorm-0.3', 'package/fixtures/typeorm-0.3')
    consumer.link('typeorm', 'typeorm-0.3')
    expect(await consumer.compile('typescript')).to.deep.equal({ code: 0, output: '' })

    const mocha = join(directoryOf('mocha'), 'bin/mocha.js')
    const { code, output } = await consumer.node(mocha, '--no-config', '--no-package', 'smoke.test.js')

    expect(code, output).to.equal(0)
    expect(output).to.match(/\d\d passing/)
  })
})

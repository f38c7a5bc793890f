import { expect } from 'chai'
import { repositoryFile } from '../support/repository-file'

const here = 'packages/typeorm-backgrounded/test/handlers'
const samples = [...repositoryFile('docs/write-a-handler.md').matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code)

/** A file of this directory, as a program that installed the package would have it. */
function asInstalled(name: string): string {
  return repositoryFile(`${here}/${name}`).replaceAll("'../../src", "'typeorm-backgrounded")
}

describe('docs/write-a-handler.md', () => {
  it('shows the handler that is compiled and passes the suite', () => {
    expect(samples).to.include(asInstalled('in-memory-handler.ts'))
  })

  it('shows how the suite is run on that handler', () => {
    expect(samples).to.include(asInstalled('in-memory-conformance.test.ts'))
  })

  it('keeps to 30 lines', () => {
    const [, body = ''] = /^export class [^]*?\n([^]*)\n}\n$/m.exec(asInstalled('in-memory-handler.ts')) ?? []
    expect(body.split('\n').filter((line) => line.trim() !== '').length).to.be.within(10, 30)
  })
})

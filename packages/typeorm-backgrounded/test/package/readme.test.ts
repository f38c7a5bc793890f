import { expect } from 'chai'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryFile } from '../support/repository-file'
import { Consumer } from './consumer'

/** Documents whose samples a user may copy as they are; `docs/write-a-handler.md` has a test of its own. */
const documents = ['README.md', 'docs/handlers.md', 'docs/database.md', 'docs/bull.md', 'docs/errors.md']

interface Sample {
  readonly file: string
  readonly code: string
}

/** A sample that begins with the name of a file is that file, which others may import. */
function samplesOf(document: string): Sample[] {
  return [...repositoryFile(document).matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = ''], index) => {
    const [, name] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? []
    return { file: name ?? `${document.replaceAll(/\W/g, '-')}-${index + 1}.ts`, code }
  })
}

describe('the samples of the documents', function () {
  this.timeout(120_000)
  let consumer: Consumer

  before(() => {
    consumer = new Consumer('readme', 'package/fixtures/readme')
    for (const { file, code } of documents.flatMap(samplesOf)) {
      const path = join(consumer.directory, file)
      if (existsSync(path)) throw new Error(`two samples are ${file}`)
      // A file without imports would share its names with all others.
      writeFileSync(path, /^(import|export) /m.test(code) ? code : `${code}\nexport {}\n`)
    }
  })

  it('compile as they stand, with every import that they need', async () => {
    expect(await consumer.compile('typescript')).to.deep.equal({ code: 0, output: '' })
  })

  it('run: the first program enqueues its job, and the worker that is shown runs it', async () => {
    expect(await consumer.node('dist/main.js')).to.deep.equal({ code: 0, output: '' })
    const program = 'node_modules/typeorm-backgrounded/dist/cli/index.js'
    const { code, output } = await consumer.node(program, 'worker', '--once', '-d', 'dist/data-source.js')
    expect(code, output).to.equal(0)
    expect(output).to.include('a spring welcome to ada@example.com').and.include('{"completed":1,')
  })

  it('name the program of a worker as it is installed', () => {
    const [, command = ''] = /^CMD (\[.*\])$/m.exec(repositoryFile('README.md')) ?? []
    const [node, program] = JSON.parse(command) as string[]
    expect(node).to.equal('node')
    expect(existsSync(join(consumer.directory, program as string))).to.equal(true)
  })

  it('fit the first screen, because the first one has about twenty lines', () => {
    const [first] = samplesOf('README.md')
    expect(first?.code.trim().split('\n').length).to.be.within(10, 22)
  })
})

import { expect } from 'chai'
import * as errors from '../src/errors'
import * as library from '../src'
import { repositoryFile } from './support/repository-file'

type ErrorClass = new (...args: unknown[]) => errors.BackgroundedError

const classes = Object.entries(errors as unknown as Record<string, ErrorClass>).filter(
  ([name]) => /^[A-Z]/.test(name) && name !== 'BackgroundedError',
)
const made = classes.map(([name, Class]) => ({ name, error: new Class('something', 'else') }))
const documented = [...repositoryFile('docs/errors.md').matchAll(/^### `([A-Z_]+)` \(`(\w+)`\)\n([^#]*)/gm)].map(
  ([, code, name, text]) => ({ code: code as string, name: name as string, text: text as string }),
)

describe('docs/errors.md', () => {
  it('has every error class with its code, and no other', () => {
    const inCode = made.map(({ name, error }) => `${name} ${error.code}`)
    const inDocs = documented.map(({ name, code }) => `${name} ${code}`)
    expect(inDocs).to.have.members(inCode)
    expect(new Set(inDocs).size).to.equal(inDocs.length)
  })

  it('names a fix for each', () => {
    for (const { name, text } of documented) expect(text, name).to.match(/\*\*Fix:\*\* \S/)
  })
})

describe('every error', () => {
  for (const { name, error } of made) {
    it(`${name} is a BackgroundedError with its own name and code, and public`, () => {
      expect(error).to.be.instanceOf(errors.BackgroundedError).and.instanceOf(Error)
      expect(error.name).to.equal(name)
      expect(error.code).to.match(/^[A-Z]+(_[A-Z]+)*$/)
      expect(made.filter((each) => each.error.code === error.code)).to.have.length(1)
      expect((library as unknown as Record<string, unknown>)[name]).to.equal(error.constructor)
    })
  }
})

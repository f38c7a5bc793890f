import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'chai'

const root = dirname(require.resolve('typeorm-backgrounded/package.json'))
const work = join(root, '.tmp/tarball')

/** A marked entity without decorator syntax, and what a newcomer would try first. */
const program = (database: string) => `
class User {
  greet(word, at) { User.seen = [this.name, word, at instanceof Date, at.getTime()] }
}
const schema = new EntitySchema({ name: 'User', target: User, columns: { id: { type: Number, primary: true, generated: true }, name: { type: String } } })
async function run(Backgrounded, withBackgrounded, SynchronousHandler, settled) {
  Backgrounded('greet')(User)
  const dataSource = withBackgrounded(new DataSource({ ${database}, entities: [schema], synchronize: true }), { handler: new SynchronousHandler() })
  await dataSource.initialize()
  const user = await dataSource.manager.save(Object.assign(new User(), { name: 'Ann' }))
  const outside = await user.greetBackgrounded('hello', new Date(5))
  const seen = User.seen
  User.seen = undefined
  await dataSource.transaction((manager) => manager.transaction(() => user.greetBackgrounded('inside', new Date(6))))
  await settled(dataSource)
  const inside = User.seen
  User.seen = undefined
  await dataSource.transaction(async () => { await user.greetBackgrounded('never', new Date(7)); throw new Error('roll back') }).catch(() => {})
  await settled(dataSource)
  const result = [outside.state, seen, inside, User.seen]
  await dataSource.destroy()
  return JSON.stringify(result)
}
`
const result = '["performed",["Ann","hello",true,5],["Ann","inside",true,6],null]'
const better = `type: 'better-sqlite3', database: ':memory:'`

describe('the packed package', function () {
  this.timeout(120_000)

  before(() => {
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    execFileSync('npm', ['pack', '--silent', '--pack-destination', work], { cwd: root })
    const tarball = readdirSync(work).find((name) => name.endsWith('.tgz')) as string
    execFileSync('tar', ['-xzf', tarball], { cwd: work })
  })

  /** A directory with the extracted package in its node_modules; everything else resolves upward. */
  function project(name: string, files: Record<string, string>): string {
    const directory = join(work, name)
    cpSync(join(work, 'package'), join(directory, 'node_modules/typeorm-backgrounded'), { recursive: true })
    writeFileSync(join(directory, 'package.json'), '{}')
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
    return directory
  }
  const node = (directory: string, ...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' }).trim()

  it('has what its exports name, and no tests or sources of tests', () => {
    const directory = project('files', {})
    const packed = join(directory, 'node_modules/typeorm-backgrounded')
    const { exports } = require(join(packed, 'package.json')) as { exports: Record<string, object | string> }
    const paths = JSON.stringify(exports).match(/\.\/[\w./-]+\.(m?js|d\.m?ts)(?=")/g) ?? []
    expect(paths.filter((path) => !existsSync(join(packed, path)))).to.deep.equal([])
    expect(readdirSync(packed)).to.not.include.members(['test'])
    expect(readdirSync(packed)).to.include('LICENSE')
  })

  it('works from CommonJS', () => {
    const main = `require('reflect-metadata')
const { DataSource, EntitySchema } = require('typeorm')
const b = require('typeorm-backgrounded')
require('typeorm-backgrounded/database'); require('typeorm-backgrounded/testing')
${program(better)}
run(b.Backgrounded, b.withBackgrounded, b.SynchronousHandler, b.settled).then(console.log)`
    expect(node(project('cjs', { 'main.cjs': main }), 'main.cjs')).to.equal(result)
  })

  it('works from ES modules, with one copy of the state between import and require', () => {
    const main = `import 'reflect-metadata'
import { createRequire } from 'node:module'
import { DataSource, EntitySchema } from 'typeorm'
import { Backgrounded, settled } from 'typeorm-backgrounded'
import 'typeorm-backgrounded/database'
import 'typeorm-backgrounded/testing'
const required = createRequire(import.meta.url)('typeorm-backgrounded')
${program(better)}
console.log(await run(Backgrounded, required.withBackgrounded, required.SynchronousHandler, settled), String(required.Backgrounded === Backgrounded))`
    expect(node(project('esm', { 'main.mjs': main }), 'main.mjs')).to.equal(`${result} true`)
  })

  it('works under Jest', () => {
    const test = `require('reflect-metadata')
const { DataSource, EntitySchema } = require('typeorm')
const b = require('typeorm-backgrounded')
${program(better)}
test('runs', async () => { expect(await run(b.Backgrounded, b.withBackgrounded, b.SynchronousHandler, b.settled)).toBe(${JSON.stringify(result)}) })`
    const directory = project('jest', {
      'main.test.js': test,
      'jest.config.js': 'module.exports = { testEnvironment: "node" }',
    })
    const jest = join(dirname(require.resolve('jest/package.json')), 'bin/jest.js')
    node(directory, jest, '--rootDir', directory)
  })

  it('works on TypeORM 0.3 with sqlite3', () => {
    const main = `require('reflect-metadata')
const { DataSource, EntitySchema } = require('typeorm')
const b = require('typeorm-backgrounded')
${program(`type: 'sqlite', database: ':memory:'`)}
run(b.Backgrounded, b.withBackgrounded, b.SynchronousHandler, b.settled).then((seen) => console.log(require('fs').readFileSync('node_modules/typeorm/package.json', 'utf8').match(/"version": "(0\\.3)/)[1], seen))`
    const directory = project('typeorm-0.3', { 'main.cjs': main })
    symlinkSync(dirname(require.resolve('typeorm-0.3')), join(directory, 'node_modules/typeorm'))
    expect(node(directory, 'main.cjs')).to.equal(`0.3 ${result}`)
  })

  it('has a command line', () => {
    const cli = 'node_modules/typeorm-backgrounded/dist/cli/index.js'
    const directory = project('bin', {})
    expect(node(directory, cli, '--version')).to.match(/^\d+\.\d+\.\d+$/)
    expect(node(directory, cli, 'worker', '--help')).to.include('--data-source')
  })
})

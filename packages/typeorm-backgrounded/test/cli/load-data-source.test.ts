import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { DataSource } from 'typeorm'
import { loadDataSource } from '../../src/cli/load-data-source'
import { temporaryDirectory } from '../support/data-sources'
import { cli } from '../support/worker-process'

const typeorm = JSON.stringify(require.resolve('typeorm'))
const make = (name: string) => `new DataSource({ type: 'better-sqlite3', database: ${JSON.stringify(name)} })`
const commonJs = (body: string) => `const { DataSource } = require(${typeorm})\n${body}\n`
const esm = (body: string) =>
  `import { createRequire } from 'node:module'\n` +
  `const { DataSource } = createRequire(import.meta.url)(${typeorm})\n${body}\n`

function write(name: string, text: string): string {
  const file = join(temporaryDirectory(), name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

async function nameIn(file: string): Promise<unknown> {
  const dataSource = await loadDataSource(file)
  expect(dataSource).to.be.instanceOf(DataSource)
  expect(dataSource.isInitialized).to.equal(false)
  return dataSource.options.database
}

const refusal = (file: string) =>
  loadDataSource(file).then(
    () => expect.fail('the file was taken'),
    (error: Error) => error.message,
  )

describe('a data source file', () => {
  const good: [title: string, file: string, text: string][] = [
    ['that is the data source itself', 'a.js', commonJs(`module.exports = ${make('one')}`)],
    ['that exports one by name', 'a.js', commonJs(`exports.dataSource = ${make('one')}`)],
    ['that exports one by default', 'a.js', commonJs(`exports.__esModule = true; exports.default = ${make('one')}`)],
    ['that exports a promise of one', 'a.js', commonJs(`exports.ready = Promise.resolve(${make('one')})`)],
    [
      'that exports other things too',
      'a.js',
      commonJs(`exports.answer = 42; exports.nothing = null; exports.one = ${make('one')}; exports.fn = () => 1`),
    ],
    [
      'that exports one by name and by default',
      'a.js',
      commonJs(`exports.one = exports.default = ${make('one')}; exports.again = Promise.resolve(exports.one)`),
    ],
    ['that is CommonJS by its extension', 'a.cjs', commonJs(`exports.one = ${make('one')}`)],
    ['that is an ES module by its extension', 'a.mjs', esm(`export const one = ${make('one')}`)],
    ['that is an ES module with a default export', 'a.mjs', esm(`export default ${make('one')}`)],
    [
      'that is an ES module which exports one by name and by default',
      'a.mjs',
      esm(`export const one = ${make('one')}\nexport default one`),
    ],
    [
      'that is an ES module which awaits',
      'a.mjs',
      esm(`await Promise.resolve()\nexport const one = Promise.resolve(${make('one')})`),
    ],
  ]
  for (const [title, name, text] of good) {
    it(`${title} is accepted`, async () => expect(await nameIn(write(name, text))).to.equal('one'))
  }

  it('that is an ES module by its package.json is accepted', async () => {
    const file = write('dist/a.js', esm(`export const one = ${make('one')}`))
    writeFileSync(join(dirname(file), '../package.json'), '{ "type": "module" }')
    expect(await nameIn(file)).to.equal('one')
  })

  it('is found from the current directory', async () => {
    const file = write('a.js', commonJs(`exports.one = ${make('one')}`))
    expect(await nameIn(relative(process.cwd(), file))).to.equal('one')
  })

  it('with spaces and signs in its path is accepted', async () => {
    expect(await nameIn(write('my data #1/a%20b.mjs', esm(`export const one = ${make('one')}`)))).to.equal('one')
  })

  const none = 'Given data source file must contain export of a DataSource instance'
  const several = 'Given data source file must contain only one export of DataSource instance'
  const bad: [title: string, text: string, message: string][] = [
    ['that exports nothing', '', none],
    [
      'that exports no data source',
      commonJs('exports.options = { type: "postgres" }; exports.DataSource = DataSource'),
      none,
    ],
    ['that exports a text', 'module.exports = "data source"', none],
    ['that exports null', 'module.exports = null', none],
    ['that exports two', commonJs(`exports.one = ${make('one')}; exports.two = ${make('two')}`), several],
  ]
  for (const [title, text, message] of bad) {
    it(`${title} is refused with TypeORM's message`, async () =>
      expect(await refusal(write('a.js', text))).to.equal(message))
  }

  it('that is not there is refused with its whole path', async () => {
    const file = join(temporaryDirectory(), 'missing.js')
    const message = await refusal(relative(process.cwd(), file))
    expect(message).to.match(/^Unable to open file: "/)
    expect(message).to.include(`"${file}". Cannot find module`)
  })

  it('that throws while it is loaded is refused with its error', async () => {
    for (const [name, text] of [
      ['a.js', 'throw new Error("no DATABASE_URL")'],
      ['a.mjs', 'throw new Error("no DATABASE_URL")'],
    ] as const) {
      const file = write(name, text)
      expect(await refusal(file)).to.equal(`Unable to open file: "${file}". no DATABASE_URL`)
    }
  })

  it('whose promise rejects is refused with its error', async () => {
    const text = commonJs('exports.one = Promise.reject(new Error("no secret")); exports.one.catch(() => {})')
    expect(await refusal(write('a.js', text))).to.include('no secret')
  })

  describe('that is TypeScript, without a loader', () => {
    const text =
      `import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'\n` +
      `@Entity() export class User { @PrimaryGeneratedColumn() id!: number; @Column() name!: string }\n` +
      `export const dataSource = new DataSource({ type: 'better-sqlite3', database: 'x', entities: [User] })\n`

    it('is refused with one helpful sentence', async () => {
      const file = write('data-source.ts', text)
      const { code, stderr } = await run(file)
      expect(code).to.equal(1)
      expect(stderr.trim().split('\n')).to.have.length(1)
      expect(stderr).to.include(`Unable to open file: "${file}"`)
      expect(stderr).to.include('Node cannot load TypeScript entities by itself')
      expect(stderr).to.include('-d dist/data-source.js')
    })

    it('is refused with a command that node can run, which a shell script in node_modules/.bin is not', async () => {
      const file = write('data source.ts', text)
      const { stderr } = await run(file)
      const [, program = ''] =
        /node -r @swc-node\/register (\S+) worker -d "[^"]*data source\.ts"\n$/.exec(stderr) ?? []
      expect(readFileSync(program, 'utf8'), stderr).to.match(/^#!\/usr\/bin\/env node\n/)
    })
  })
})

/** The worker command on this file, in a Node without any loader. */
function run(file: string): Promise<{ code: unknown; stderr: string }> {
  const options = { env: { ...process.env, NODE_OPTIONS: '' } }
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'worker', '-d', file], options, (error, _, stderr) => {
      resolve({ code: error?.code, stderr })
    })
  })
}

import { expect } from 'chai'
import { join } from 'node:path'
import { createPostgres, requirePostgres } from '../support/postgres'
import { removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { Consumer, directoryOf } from './consumer'

/** What is needed of esbuild's. */
interface BuildOptions {
  readonly outfile: string
  readonly minify?: boolean
  readonly format?: 'esm'
  readonly banner?: { readonly js: string }
}
type Build = (options: BuildOptions & Record<string, unknown>) => Promise<unknown>

const DRIVERS = ['typeorm', 'pg', 'better-sqlite3', 'mysql2', 'bull', 'ioredis', 'reflect-metadata']

const bundles: [title: string, options: BuildOptions][] = [
  ['', { outfile: 'bundled.js' }],
  ['and minified', { outfile: 'minified.js', minify: true }],
  [
    'as an ES module',
    {
      outfile: 'bundled.mjs',
      format: 'esm',
      banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
    },
  ],
]

describe('a program that was bundled with esbuild', function () {
  this.timeout(60_000)
  let consumer: Consumer

  before(() => {
    consumer = new Consumer('bundled', 'package/fixtures/bundled')
  })

  async function bundle(options: BuildOptions, external: string[] = []): Promise<string> {
    const outfile = join(consumer.directory, options.outfile)
    const { build } = require(directoryOf('esbuild')) as { build: Build }
    await build({
      entryPoints: [join(consumer.directory, 'main.ts')],
      bundle: true,
      platform: 'node',
      external: [...DRIVERS, ...external],
      logLevel: 'error',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      ...options,
      outfile,
    })
    return outfile
  }

  const run = (file: string, program: object) => consumer.node(file, JSON.stringify(program))
  const sqlite = (file: string) => ({ type: 'better-sqlite3', database: `${file}.sqlite` })
  const done = 'HELLO User 1\nENDED\n'

  for (const [title, options] of bundles) {
    describe(title || 'plainly', () => {
      let file: string
      before(async () => {
        file = await bundle(options)
      })

      it('runs jobs on SQLite', async () => {
        expect(await run(file, { options: sqlite(file) })).to.deep.equal({ code: 0, output: done })
      })

      it('runs jobs on Postgres, and says once what to leave out of the bundle', async function () {
        await requirePostgres(this)
        const { dataSource, drop } = await createPostgres([])
        const { type, host, port, username, password, database } = dataSource.options as never
        const { code, output } = await run(file, { options: { type, host, port, username, password, database } })
        await drop()
        expect(code, output).to.equal(0)
        expect(output).to.include('HELLO User 1').and.include('ENDED').and.not.include('cannot be reached')
        expect(output.match(/external: \['typeorm-backgrounded'\]/g)).to.have.length(1)
      })

      it('runs jobs from Redis, by way of the outbox', async function () {
        await requireRedis(this)
        const prefix = uniquePrefix()
        const { code, output } = await run(file, { options: sqlite(`${file}-bull`), prefix })
        await removeKeys(prefix)
        expect(code, output).to.equal(0)
        expect(output).to.include('HELLO User 1').and.include('ENDED').and.include("external: ['typeorm-backgrounded']")
      })
    })
  }

  it('gives the heartbeat its thread if the library was left out', async function () {
    await requirePostgres(this)
    const file = await bundle({ outfile: 'external.js' }, ['typeorm-backgrounded'])
    const { dataSource, drop } = await createPostgres([])
    const { type, host, port, username, password, database } = dataSource.options as never
    const ended = await run(file, { options: { type, host, port, username, password, database } })
    await drop()
    expect(ended).to.deep.equal({ code: 0, output: done })
  })
})

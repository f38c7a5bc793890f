import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { Consumer, directoryOf, pack } from './consumer'

interface Manifest {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Record<string, { types: string; default: string }>>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

describe('the content of the tarball', function () {
  this.timeout(60_000)
  let consumer: Consumer
  let installed: string
  let manifest: Manifest
  let files: string[]

  before(() => {
    consumer = new Consumer('contents')
    installed = join(consumer.directory, 'node_modules/typeorm-backgrounded')
    manifest = JSON.parse(read('package.json')) as Manifest
    files = execFileSync('tar', ['-tzf', pack()], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((file) => file.replace(/^package\//, ''))
  })

  const read = (file: string) => readFileSync(join(installed, file), 'utf8')

  it('holds the compiled library, its entries, licence and readme, and nothing else', () => {
    const compiled = /^dist\/.+\.(js|js\.map|d\.ts|mjs|d\.mts)$/
    const others = files.filter((file) => !compiled.test(file))

    expect(others).to.have.members([
      'package.json',
      'LICENSE',
      'README.md',
      'bull/package.json',
      'database/package.json',
      'testing/package.json',
    ])
    expect(files.filter((file) => /\.test\.|\btest\//.test(file))).to.deep.equal([])
  })

  it('has every file that "exports" and "bin" name', () => {
    const named = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(({ types, default: file }) => [types, file]),
    )

    for (const file of [...named, ...Object.values(manifest.bin)])
      expect(existsSync(join(installed, file)), file).to.be.true
  })

  it('has a directory for each sub-entry, for those who do not read "exports"', () => {
    for (const [entry, conditions] of Object.entries(manifest.exports)) {
      if (entry === '.' || typeof conditions === 'string') continue
      const stub = JSON.parse(read(join(entry, 'package.json'))) as { main: string; types: string }
      expect(join(entry, stub.main)).to.equal(join(conditions.require?.default ?? ''))
      expect(join(entry, stub.types)).to.equal(join(conditions.require?.types ?? ''))
    }
  })

  it('has source maps that bring their sources along', () => {
    for (const file of files.filter((each) => each.endsWith('.map'))) {
      const map = JSON.parse(read(file)) as { sources: string[]; sourcesContent?: (string | null)[] }
      expect(map.sourcesContent, file).to.have.length(map.sources.length)
      for (const source of map.sources) expect(source, file).to.match(/^(\.\.\/)+src\//)
    }
  })

  it('has types that need only what the package brings along', () => {
    for (const file of files.filter((each) => each.endsWith('.d.ts'))) {
      for (const [, name = ''] of read(file).matchAll(/(?:from |import\()['"]([^.'"][^'"]*)['"]/g)) {
        expect(isTyped(name), `${file} imports "${name}"`).to.be.true
      }
    }
  })

  it('has a binary that runs', async () => {
    const binary = join(installed, manifest.bin['typeorm-backgrounded'] as string)

    expect(await consumer.run(binary, '--version')).to.deep.equal({ code: 0, output: `${manifest.version}\n` })
    const help = await consumer.run(binary, 'worker', '--help')
    expect(help.code, help.output).to.equal(0)
    expect(help.output).to.include('--queues').and.include('--concurrency').and.include('--once')
  })

  function isTyped(name: string): boolean {
    const { dependencies, peerDependencies } = manifest
    if (isBuiltin(name) || name in peerDependencies) return true
    if (!(name in dependencies)) return false
    const own = JSON.parse(readFileSync(join(directoryOf(name), 'package.json'), 'utf8')) as { types?: string }
    return own.types !== undefined || `@types/${name}` in dependencies
  }
})

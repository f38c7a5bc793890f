import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The package's own directory; tests run in build/test/package. */
export const root = join(__dirname, '../../..')
const sources = join(root, 'test')
let area = ''
let packed: string | undefined

/** Packs the built package as for publishing, once; returns the tarball. */
export function pack(): string {
  if (packed) return packed
  mkdirSync(join(root, '.tmp'), { recursive: true })
  area = mkdtempSync(join(root, '.tmp/package-'))
  process.on('exit', () => rmSync(area, { recursive: true, force: true }))
  execFileSync('npm', ['pack', '--silent', '--pack-destination', area], { cwd: root, stdio: 'pipe' })
  packed = join(area, readdirSync(area).find((file) => file.endsWith('.tgz')) as string)
  return packed
}

export interface Finished {
  readonly code: number
  /** What it printed, on both streams. */
  readonly output: string
}

/**
 * A program that installed the package: a directory with a real copy of the tarball's content. What the package
 * depends on is found in the workspace above it.
 */
export class Consumer {
  readonly directory: string

  /** @param fixtures a directory below test/ whose files the program consists of */
  constructor(name: string, fixtures?: string) {
    const tarball = pack()
    this.directory = join(area, name)
    const installed = join(this.directory, 'node_modules/typeorm-backgrounded')
    mkdirSync(installed, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
    writeFileSync(join(this.directory, 'package.json'), JSON.stringify({ name: 'consumer', private: true }))
    if (fixtures) cpSync(join(sources, fixtures), this.directory, { recursive: true })
  }

  /** Makes `require(name)` find what the workspace knows as `alias`. */
  link(name: string, alias: string): void {
    const path = join(this.directory, 'node_modules', name)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(directoryOf(alias), path, 'junction')
  }

  /** Runs the TypeScript compiler that the workspace knows as `alias`. */
  compile(alias: string, ...options: string[]): Promise<Finished> {
    const compiler = join(directoryOf(alias), 'bin/tsc')
    return this.node(compiler, '--project', this.directory, ...options)
  }

  node(...args: string[]): Promise<Finished> {
    return this.run(process.execPath, ...args)
  }

  run(command: string, ...args: string[]): Promise<Finished> {
    return new Promise((resolve) => {
      // NODE_OPTIONS and friends of the test run are none of the program's business.
      const env = { PATH: process.env.PATH, NO_COLOR: '1' }
      const options = { cwd: this.directory, env, timeout: 60_000 }
      const child = execFile(command, args, options, (error, stdout, stderr) =>
        resolve({ code: error ? (child.exitCode ?? 1) : 0, output: stdout + stderr }),
      )
    })
  }
}

/** Where the workspace has a package; "exports" may hide its package.json from `require`. */
export function directoryOf(name: string): string {
  const paths = require.resolve.paths(name) ?? []
  const directory = paths.map((path) => join(path, name)).find((path) => existsSync(join(path, 'package.json')))
  if (!directory) throw new Error(`${name} is not installed`)
  return directory
}

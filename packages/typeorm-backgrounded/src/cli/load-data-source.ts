import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InstanceChecker, type DataSource } from 'typeorm'
import { errorMessage } from '../reporting/safe-error'

/** Loads modules as a file in the current directory would. */
export function requireModules(modules: readonly string[]): void {
  for (const module of modules) createRequire(join(process.cwd(), 'data-source.js'))(module)
}

/**
 * Loads the data source that a file exports, with the rules and the messages of TypeORM's own CLI: either the module
 * itself or exactly one of its exports must be a DataSource, or a promise of one.
 */
export async function loadDataSource(file: string): Promise<DataSource> {
  const path = resolve(process.cwd(), file)
  const exported = await open(path)
  if (!exported || typeof exported !== 'object')
    throw new Error('Given data source file must contain export of a DataSource instance')
  if (InstanceChecker.isDataSource(exported)) return exported

  const values = await Promise.all(Object.values(exported))
  const dataSources = new Set(values.filter((value) => InstanceChecker.isDataSource(value)))
  // A Set, because an ES module may export one data source twice: as its default and by name.
  const [dataSource, ...more] = dataSources
  if (!dataSource) throw new Error('Given data source file must contain export of a DataSource instance')
  if (more.length > 0) throw new Error('Given data source file must contain only one export of DataSource instance')
  return dataSource
}

async function open(path: string): Promise<unknown> {
  try {
    return isModule(path) ? await dynamicImport(pathToFileURL(path).href) : require(path)
  } catch (error) {
    if (isTypeScript(path) && !hasTypeScriptLoader()) {
      throw new Error(
        `Unable to open file: "${path}". Node cannot load TypeScript entities by itself: compile first and pass the compiled file ` +
          `(-d dist/data-source.js), or install a loader that keeps decorator metadata, such as @swc-node/register with @swc/core, and run ` +
          `node ${isModule(path) ? '--import @swc-node/register/esm-register' : '-r @swc-node/register'} ${[programPath(), ...process.argv.slice(2)].map(quoted).join(' ')}`,
        { cause: error },
      )
    }
    throw new Error(`Unable to open file: "${path}". ${errorMessage(error)}`, { cause: error })
  }
}

/** The path of this program for `node`, which cannot run the file in `node_modules/.bin`: under pnpm it is a shell script. */
function programPath(): string {
  const installed = join('node_modules', 'typeorm-backgrounded', 'dist', 'cli', 'index.js')
  return existsSync(installed) ? installed : relative(process.cwd(), join(__dirname, 'index.js'))
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(argument) ? argument : JSON.stringify(argument)
}

/** Made from text, because TypeScript would turn `import()` into `require()` in a CommonJS build. */
const dynamicImport = new Function('path', 'return import(path)') as (path: string) => Promise<unknown>

function isModule(path: string): boolean {
  const extension = extname(path)
  if (extension === '.mjs' || extension === '.mts') return true
  if (extension === '.cjs' || extension === '.cts') return false
  return nearestPackageType(dirname(path)) === 'module'
}

function nearestPackageType(directory: string): unknown {
  for (let at = directory; ; at = dirname(at)) {
    const file = join(at, 'package.json')
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { type?: unknown }).type
    if (at === dirname(at)) return undefined
  }
}

function isTypeScript(path: string): boolean {
  return /^\.[cm]?ts$/.test(extname(path))
}

function hasTypeScriptLoader(): boolean {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  const isTsNode = Symbol.for('ts-node.register.instance') in process
  return (
    isTsNode ||
    'bun' in process.versions ||
    /--(import|loader|require)|-r /.test(flags) ||
    '.ts' in (require.extensions as object)
  )
}

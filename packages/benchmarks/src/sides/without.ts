import { readFileSync } from 'node:fs'
import Module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { FAST_PATHS, type FastPath, type FastPathName } from '../fast-paths'

/** Loads a side after one file of the library with a fast path turned off, which every later import of it then gets. */
export async function loadWithout<Side>(name: FastPathName, load: () => Promise<Side>): Promise<Side> {
  await import('reflect-metadata') // the library's tables are declared as it is loaded
  const path = pathOf(FAST_PATHS[name])
  const edited = Object.assign(new Module(path) as Compilable, {
    filename: path,
    paths: createRequire(path).resolve.paths('typeorm') ?? [],
  })
  require.cache[path] = edited
  edited._compile(sourceWithout(FAST_PATHS[name]), path)
  edited.loaded = true
  return load()
}

/** What Node itself calls to run the source of a module. */
type Compilable = Module & { _compile(source: string, path: string): void }

/** @throws when the text that turns the fast path off is not in the library, or there several times */
export function sourceWithout(fastPath: FastPath): string {
  const { file, text, replacement } = fastPath
  const parts = readFileSync(pathOf(fastPath), 'utf8').split(text)
  if (parts.length !== 2) throw new Error(`${file} has this ${parts.length - 1} times: ${text}`)
  return parts.join(replacement)
}

function pathOf({ file }: FastPath): string {
  return join(dirname(require.resolve('typeorm-backgrounded')), file)
}

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The text of a file, by its path from the root of the repository. */
export function repositoryFile(name: string): string {
  return readFileSync(join(repositoryRoot(), name), 'utf8')
}

export function repositoryRoot(): string {
  for (let at = __dirname; at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, 'lerna.json'))) return at
  }
  throw new Error(`no repository around ${__dirname}`)
}

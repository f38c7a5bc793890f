import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The version of a package as TypeORM finds it, for messages. */
export function installedVersion(name: string): string {
  try {
    let folder = dirname(require.resolve(name, { paths: [require.resolve('typeorm'), process.cwd()] }))
    for (; dirname(folder) !== folder; folder = dirname(folder)) {
      const description = descriptionIn(folder)
      if (description?.name === name) return String(description.version)
    }
  } catch {
    // A bundle has no package.json to read.
  }
  return '(unknown version)'
}

function descriptionIn(folder: string): { name?: unknown; version?: unknown } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as object
  } catch {
    return undefined
  }
}

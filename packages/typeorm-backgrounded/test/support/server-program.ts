import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a server's program; not every system has them in the PATH. */
export function findProgram(name: string, directories: readonly string[]): string {
  const places = [...directories, ...(process.env.PATH ?? '').split(delimiter)].filter(Boolean)
  const path = places.map((place) => join(place, name)).find(isExecutable)
  if (path === undefined) throw new Error(`it is not in ${places.join(', ') || 'an empty PATH'}`)
  return path
}

/** The directories `<parent>/<any>/<child>`, the newest version first. */
export function versionsIn(parent: string, child: string): string[] {
  try {
    return readdirSync(parent)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(parent, version, child))
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

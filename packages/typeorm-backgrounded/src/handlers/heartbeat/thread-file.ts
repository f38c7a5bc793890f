import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/**
 * Path of the file `heartbeat-thread.js` beside the calling module; `undefined` when there is none, as in a bundle.
 * @param directory returns the directory of that module; a function, because a bundle may have no `__dirname`
 */
export function threadFile(directory: () => string): string | undefined {
  try {
    const file = join(directory(), 'heartbeat-thread.js')
    return isAbsolute(file) && existsSync(file) ? file : undefined
  } catch {
    return undefined
  }
}

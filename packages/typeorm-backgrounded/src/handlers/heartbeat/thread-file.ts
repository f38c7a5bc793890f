import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/**
 * The program of a heartbeat's thread, which stands beside the module that asks; `undefined` where it does not, as in a
 * bundle.
 * @param directory of that module; called here, because a bundle may have no `__dirname`
 */
export function threadFile(directory: () => string): string | undefined {
  try {
    const file = join(directory(), 'heartbeat-thread.js')
    return isAbsolute(file) && existsSync(file) ? file : undefined
  } catch {
    return undefined
  }
}

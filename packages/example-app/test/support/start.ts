import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Ended {
  readonly code: number | null
  readonly output: string
}

/** `npm start`, in a directory of its own. It has a deadline itself. */
export function start(env: Record<string, string>): Ended {
  const directory = mkdtempSync(join(tmpdir(), 'album-'))
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(__dirname, '../../src/start.js')], {
    env: { ...process.env, ALBUM_DIRECTORY: directory, ...env },
    encoding: 'utf8',
  })
  rmSync(directory, { recursive: true })
  return { code: status, output: stdout + stderr }
}

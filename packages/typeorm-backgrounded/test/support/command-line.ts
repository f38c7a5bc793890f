import { execFile } from 'node:child_process'
import { cli } from './worker-process'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line to its end; a worker that does not end by itself is stopped after `patience`. */
export function run(args: readonly string[], env: Record<string, string> = {}, patience = 15_000): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      timeout: patience,
      killSignal: 'SIGKILL' as const,
    }
    execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) => {
      const { code, signal } = (error ?? { code: 0 }) as { code?: number | null; signal?: string }
      resolve({ code: typeof code === 'number' ? code : signal === 'SIGKILL' ? -9 : -1, stdout, stderr })
    })
  })
}

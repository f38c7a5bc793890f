import { execFile } from 'node:child_process'

/** Runs a command to its end. @returns {Promise<{ code: number, output: string }>} with both streams in `output` */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = execFile(command, args, { maxBuffer: 1e9, ...options }, (error, stdout, stderr) =>
      resolve({ code: error ? child.exitCode || 1 : 0, output: stdout + stderr }),
    )
  })
}

/** Runs a command that has to succeed. */
export async function runWell(command, args, options) {
  const { code, output } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output.trim()}`)
  return output
}

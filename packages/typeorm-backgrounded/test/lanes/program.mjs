import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.mjs'

/**
 * Runs an installed program (programs/) on one store, or under one condition, with its agent if there is one.
 *
 * @returns the counts of its tests, and what it printed
 */
export async function runProgram(program, { directory, env }, store, extraEnv) {
  const agent = join(directory, `agents/${store.split('+')[0]}.cjs`)
  const NODE_OPTIONS = existsSync(agent) ? `--require ${agent}` : ''
  const args = ['--test-reporter=tap', join(directory, `${program}.js`), store]
  const { code, output } = await run('node', args, { env: { ...env, NODE_OPTIONS, ...extraEnv }, timeout: 180_000 })
  const count = (name) => Number(output.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
  const counts = { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') }
  const isSilentFailure = counts.failed === 0 && (code !== 0 || counts.passed === 0)
  return { ...counts, failed: isSilentFailure ? 1 : counts.failed, output }
}

import { join } from 'node:path'
import { run } from './commands.mjs'

/** Runs an installed smoke program on one store. @returns the counts of its tests, and what it printed */
export async function runSmoke({ directory, env }, store, extraEnv) {
  const args = ['--test-reporter=tap', join(directory, 'smoke.js'), store]
  const { code, output } = await run('node', args, { env: { ...env, ...extraEnv }, timeout: 180_000 })
  const count = (name) => Number(output.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
  const counts = { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') }
  const isSilentFailure = counts.failed === 0 && (code !== 0 || counts.passed === 0)
  return { ...counts, failed: isSilentFailure ? 1 : counts.failed, output }
}

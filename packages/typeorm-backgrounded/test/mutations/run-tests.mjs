import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { repository } from '../lanes/repository.mjs'

const MOCHA = join(repository, 'node_modules/mocha/bin/mocha.js')
const OPTIONS = ['--no-config', '--no-package', '--bail', '--exit', '--timeout', '30000']
const REQUIRED = ['reflect-metadata', 'source-map-support/register'].flatMap((name) => ['--require', name])
/** A mutation may make the tests hang, in ms. */
const LONGEST = 180_000

/** Runs test files, named by their paths without `.test.ts`, until the first failure. */
export function runTests(cwd, files) {
  const paths = files.map((file) => `build/test/${file}.test.js`)
  return new Promise((resolve) => {
    const settings = { cwd, timeout: LONGEST, killSignal: 'SIGKILL', maxBuffer: 1e9 }
    execFile('node', [MOCHA, ...OPTIONS, ...REQUIRED, ...paths], settings, (error, stdout, stderr) =>
      resolve({ hasFailed: error !== null, firstFailure: firstFailureOf(stdout) ?? stderr.trim().split('\n')[0] }),
    )
  })
}

/** The title of the first test that failed, as mocha's summary shows it over several lines. */
function firstFailureOf(output) {
  const title = /^ {2}\d+ failing\s+1\) ([\s\S]*?):\n/m.exec(output)?.[1]
  return title?.replaceAll(/\s+/g, ' ')
}

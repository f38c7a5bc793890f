import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runWell } from './commands.mjs'
import { packageDirectory, repository } from './repository.mjs'
import { copyWorkspace } from './workspace-copy.mjs'

/** Runs the package's own suite with another TypeORM, except some files and folders. @returns the counts */
export async function runSuite({ typeorm, except }, directory) {
  await compileTests()
  const copy = copyWorkspace(directory, typeorm)
  const manifest = readFileSync(join(directory, 'node_modules/typeorm/package.json'), 'utf8')
  console.log(`TypeORM ${JSON.parse(manifest).version}`)
  const { code, output } = await runMocha(copy, except)
  const count = (name) => Number(output.match(new RegExp(`^\\s*(\\d+) ${name}\\b`, 'm'))?.[1] ?? 0)
  const counts = { passed: count('passing'), failed: count('failing'), skipped: count('pending') }
  return counts.failed === 0 && (code !== 0 || counts.passed === 0) ? { ...counts, failed: 1 } : counts
}

async function compileTests() {
  rmSync(join(packageDirectory, 'build'), { recursive: true, force: true }) // tests that are gone would be run
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  await runWell('node', [compiler, '-p', 'tsconfig.test.json'], { cwd: packageDirectory })
}

async function runMocha(directory, except) {
  const args = ['--no-package', ...except.flatMap((path) => ['--ignore', patternOf(path, directory)])]
  const child = spawn('node', [join(repository, 'node_modules/mocha/bin/mocha.js'), ...args], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
    process.stdout.write(text)
  })
  const [code] = await once(child, 'close')
  return { code, output }
}

function patternOf(path, directory) {
  const ignored = `build/test/${path}`
  if (!existsSync(join(directory, ignored))) throw new Error(`${ignored} is not there any more: mend lanes.mjs`)
  return ignored.endsWith('.js') ? ignored : `${ignored}/**`
}

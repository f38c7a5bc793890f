import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { runWell } from '../lanes/commands.mjs'
import { packageDirectory, repository } from '../lanes/repository.mjs'
import { runTests } from './run-tests.mjs'

const COMPILER = join(repository, 'node_modules/typescript/bin/tsc')

/** A copy of the compiled package and its tests, in which one source file at a time is another. */
export class MutantWorkspace {
  /** Compiles the package, and copies what was compiled. Everything else is a link, because it stays as it is. */
  static async create(directory) {
    await runWell('node', [COMPILER, '-p', 'tsconfig.test.json'], { cwd: packageDirectory })
    const copy = join(directory, 'packages/typeorm-backgrounded')
    mkdirSync(copy, { recursive: true })
    cpSync(join(packageDirectory, 'build'), join(copy, 'build'), { recursive: true })
    for (const name of ['src', 'test', 'package.json']) symlinkSync(join(packageDirectory, name), join(copy, name))
    for (const name of ['node_modules', 'docs', 'README.md', 'lerna.json'])
      symlinkSync(join(repository, name), join(directory, name))
    return new MutantWorkspace(copy)
  }

  constructor(copy) {
    this.copy = copy
  }

  /** Why a mutation cannot be made. Undefined when it can. */
  whyUnfit({ file, before, tests }) {
    if (!existsSync(join(packageDirectory, 'src', file))) return 'the file is not there any more'
    const times = sourceOf(file).split(before).length - 1
    if (times !== 1) return `its text is found ${times} times, and must be found once`
    const missing = tests.find((test) => !existsSync(join(packageDirectory, 'test', `${test}.test.ts`)))
    return missing && `${missing}.test.ts is not there any more`
  }

  test(files) {
    return runTests(this.copy, files)
  }

  /** Runs the tests of a mutation with it. */
  async testWith({ file, before, after, tests }) {
    const compiled = join('build/src', file.replace(/\.ts$/, '.js'))
    const source = sourceOf(file).replace(before, () => after)
    writeFileSync(join(this.copy, compiled), transpile(file, source))
    try {
      return await this.test(tests)
    } finally {
      cpSync(join(packageDirectory, compiled), join(this.copy, compiled))
    }
  }
}

function sourceOf(file) {
  return readFileSync(join(packageDirectory, 'src', file), 'utf8')
}

const { config } = ts.readConfigFile(join(repository, 'tsconfig.base.json'), ts.sys.readFile)
const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, sourceMap: false }, repository)

/** @throws an error when a mutation is not TypeScript, because every test would kill it */
function transpile(file, source) {
  const { outputText, diagnostics } = ts.transpileModule(source, {
    fileName: join(packageDirectory, 'src', file),
    compilerOptions: options,
    reportDiagnostics: true,
  })
  const [problem] = diagnostics
  if (problem) throw new Error(`${file}: ${ts.flattenDiagnosticMessageText(problem.messageText, ' ')}`)
  return outputText
}

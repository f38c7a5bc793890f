import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import ts from 'typescript'

const root = dirname(require.resolve('typeorm-backgrounded/package.json'))
const directory = join(root, 'test/types')

/** `test/types` holds what must compile, and with @ts-expect-error what must not. */
describe('the types', function () {
  this.timeout(120_000)

  for (const compiler of ['typescript-5.4', 'typescript', 'typescript-7']) {
    const { version } = require(`${compiler}/package.json`) as { version: string }
    for (const resolution of [[], ['--module', 'esnext', '--moduleResolution', 'bundler']]) {
      it(`hold on TypeScript ${version} ${resolution.at(-1) ?? 'node16'}`, () => {
        const tsc = join(dirname(require.resolve(`${compiler}/package.json`)), 'bin/tsc')
        expect(check(tsc, resolution)).to.equal('')
      })
    }
  }

  it('are checked at all: a wrong line is reported', () => {
    const service = serviceFor(`user.sendWelcomeBackgrounded(5)`)
    expect(service.getSemanticDiagnostics(probe)).to.have.length(1)
  })

  it('complete the methods behind backgrounded(user), and no others', () => {
    const source = `backgrounded(user).`
    const names = serviceFor(source)
      .getCompletionsAtPosition(probe, prelude.length + source.length, {})
      ?.entries.map(({ name }) => name)
    expect(names).to.include('sendWelcome')
    expect(names).to.not.include.members(['sendWelcomeBackgrounded'])
    expect(names).to.not.include.members(['save'])
  })

  for (const source of ['user.sendWelcomeBackgrounded(', 'backgrounded(user).sendWelcome(']) {
    it(`show the method's parameters at ${source}`, () => {
      const help = serviceFor(source).getSignatureHelpItems(probe, prelude.length + source.length, {})
      const parameters = help?.items[0]?.parameters.map(({ displayParts }) => ts.displayPartsToString(displayParts))
      expect(parameters).to.deep.equal(['template: string'])
    })
  }
})

function check(tsc: string, flags: readonly string[]): string {
  try {
    return execFileSync(process.execPath, [tsc, '-p', directory, '--noEmit', ...flags], { encoding: 'utf8' })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

const probe = join(directory, 'probe.ts')
const prelude = `
import { BaseEntity } from 'typeorm'
import { Backgrounded, backgrounded, type InBackground } from 'typeorm-backgrounded'
class User extends BaseEntity {
  @Backgrounded() async sendWelcome(template: string): Promise<void> {}
  declare sendWelcomeBackgrounded: InBackground<User['sendWelcome']>
}
declare const user: User
`

/** An editor with one open file that ends in `source`. */
function serviceFor(source: string): ts.LanguageService {
  const read = (file: string) => (file === probe ? prelude + source : ts.sys.readFile(file))
  return ts.createLanguageService({
    getCompilationSettings: () => ({
      module: ts.ModuleKind.Node16,
      moduleResolution: ts.ModuleResolutionKind.Node16,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      experimentalDecorators: true,
      skipLibCheck: true,
    }),
    getScriptFileNames: () => [probe],
    getScriptVersion: () => '1',
    getScriptSnapshot: (file) => {
      const text = read(file)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => directory,
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: (file) => file === probe || ts.sys.fileExists(file),
    readFile: read,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  })
}

import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { Consumer } from './consumer'

const head = `
import { backgrounded } from 'typeorm-backgrounded'
import { Album, User } from './model'
declare const user: User
declare const album: Album
`

describe('an editor', function () {
  this.timeout(60_000)
  let editor: Editor

  before(() => {
    editor = new Editor(new Consumer('editor', 'types').directory)
  })

  it('offers the methods of the entity, and nothing else, after backgrounded(user)', () => {
    expect(editor.completions('backgrounded(user).')).to.have.members([
      'sendWelcome',
      'greet',
      'share',
      'render',
      'store',
      'pick',
    ])
    expect(editor.completions('backgrounded([user]).')).to.include('sendWelcome').and.not.include('save')
  })

  it('offers the static methods after backgrounded(Album)', () => {
    expect(editor.completions('backgrounded(Album).')).to.have.members(['rebuildIndex', 'count'])
    expect(editor.completions('backgrounded(User).')).to.deep.equal([])
  })

  it('offers the generated methods on the entity itself', () => {
    expect(editor.completions('user.')).to.include.members(['sendWelcome', 'sendWelcomeBackgrounded'])
  })

  it("shows the method's own parameters while a call is typed", () => {
    const expected = 'template: string): Promise<JobReceipt>'
    expect(editor.signature('user.sendWelcomeBackgrounded(')).to.equal(`sendWelcomeBackgrounded(${expected}`)
    expect(editor.signature('backgrounded(user).sendWelcome(')).to.equal(`sendWelcome(${expected}`)
    expect(editor.signature('backgrounded([user]).sendWelcome(')).to.equal(
      'sendWelcome(template: string): Promise<JobReceipt[]>',
    )
    expect(editor.signature('Album.rebuildIndexBackgrounded(')).to.equal(
      'rebuildIndexBackgrounded(since?: Date | undefined): Promise<JobReceipt>',
    )
  })

  it('shows a reference where an entity may be one, and leaves all other parameters alone', () => {
    expect(editor.signature('album.renameBackgrounded(')).to.equal(
      'renameBackgrounded(title: string, by: User | EntityReference<User> | null): Promise<JobReceipt>',
    )
    expect(editor.signature('backgrounded(user).store(')).to.equal(
      'store(json: Json, table: Map<string, number>, names: ReadonlySet<string>, anything: unknown, loose: any): Promise<JobReceipt>',
    )
  })
})

/** TypeScript's language service over a consumer's files, with one file that is being typed. */
class Editor {
  private readonly file: string
  private text = ''
  private version = 0
  private readonly service: ts.LanguageService

  constructor(directory: string) {
    this.file = join(directory, 'typed.ts')
    const { config } = ts.readConfigFile(join(directory, 'tsconfig.json'), ts.sys.readFile) as { config: unknown }
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, directory)
    this.service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [this.file],
      getScriptVersion: (file) => (file === this.file ? String(this.version) : '0'),
      getScriptSnapshot: (file) => {
        if (file === this.file) return ts.ScriptSnapshot.fromString(this.text)
        return ts.sys.fileExists(file) ? ts.ScriptSnapshot.fromString(readFileSync(file, 'utf8')) : undefined
      },
      getCurrentDirectory: () => directory,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: (file) => file === this.file || ts.sys.fileExists(file),
      readFile: (file) => ts.sys.readFile(file),
      readDirectory: (...query) => ts.sys.readDirectory(...query),
      directoryExists: (path) => ts.sys.directoryExists(path),
      getDirectories: (path) => ts.sys.getDirectories(path),
      realpath: (path) => ts.sys.realpath?.(path) ?? path,
    })
  }

  /** Names that are offered after `code`. */
  completions(code: string): string[] {
    const end = this.type(code)
    const { entries } = this.service.getCompletionsAtPosition(this.file, end, undefined) ?? { entries: [] }
    return entries.map(({ name }) => name)
  }

  /** The signature that is shown after `code`. */
  signature(code: string): string {
    const end = this.type(code)
    const item = this.service.getSignatureHelpItems(this.file, end, undefined)?.items[0]
    if (!item) throw new Error(`there is no signature help after ${code}`)
    const text = (parts: ts.SymbolDisplayPart[]) => parts.map((part) => part.text).join('')
    const parameters = item.parameters.map(({ displayParts }) => text(displayParts)).join(', ')
    return text(item.prefixDisplayParts) + parameters + text(item.suffixDisplayParts)
  }

  private type(code: string): number {
    this.text = head + code
    this.version++
    return this.text.length
  }
}

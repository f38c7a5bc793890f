import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { ESLint } from 'eslint'

const root = dirname(require.resolve('typeorm-backgrounded/package.json'))
const repository = join(root, '../..')

/** For each room, a file in it and an import that it may not have. */
const REFUSED: readonly [file: string, imported: string][] = [
  ['logger.ts', './errors'],
  ['events.ts', './job/envelope'],
  ['errors.ts', './metadata/options'],
  ['concurrency/batcher.ts', '../errors'],
  ['upstream/pg.ts', '../database/errors'],
  ['reporting/text-of.ts', '../errors'],
  ['database/errors.ts', '../job/envelope'],
  ['job/envelope.ts', '../metadata/registry'],
  ['metadata/registry.ts', '../dispatch/calls'],
  ['handlers/contract/handler.ts', '../null'],
  ['handlers/heartbeat/heart.ts', '../../errors'],
  ['handlers/consumption/consume-store.ts', '../database/job-row'],
  ['handlers/null.ts', '../metadata/registry'],
  ['handlers/synchronous.ts', './null'],
  ['handlers/bull/index.ts', '../database/job-row'],
  ['handlers/database/job-row.ts', '../bull/options'],
  ['handlers/database/postgres/statements.ts', '../mariadb/statements'],
  ['database/sqlite/connection.ts', '../postgres/connection'],
  ['outbox/outbox.ts', '../dispatch/calls'],
  ['dispatch/calls.ts', '../worker/executor'],
  ['worker/reload/rows-by-key.ts', '../executor'],
  ['worker/worker.ts', '../dispatch/calls'],
  ['plugin/attach.ts', '../cli/load-data-source'],
  ['index.ts', './handlers/bull/index'],
  ['testing/index.ts', '../handlers/database/index'],
  ['cli/index.ts', '../dispatch/calls'],
]

/** The lint rule that keeps imports pointing one way is a guard, and a guard is shown failing. */
describe('the direction of imports', function () {
  this.timeout(60_000)
  const eslint = new ESLint({ cwd: repository })

  async function refusals(file: string, imported: string): Promise<string[]> {
    const [result] = await eslint.lintText(`import * as imported from '${imported}'\nvoid imported\n`, {
      filePath: join(root, 'src', file),
    })
    const messages = result?.messages.filter(({ ruleId }) => ruleId === 'import-x/no-restricted-paths') ?? []
    return messages.map(({ message }) => message)
  }

  it('is checked in every room', async () => {
    const { ROOMS } = (await import(pathToFileURL(join(repository, 'eslint.config.mjs')).href)) as { ROOMS: object }
    const untried = Object.keys(ROOMS).filter(
      (room) => !REFUSED.some(([file]) => file === room || file.startsWith(`${room}/`)),
    )
    expect(untried).to.deep.equal([])
  })

  for (const [file, imported] of REFUSED) {
    it(`refuses ${imported} in ${file}`, async () => {
      expect(await refusals(file, imported)).not.to.deep.equal([])
    })
  }

  it('allows what a room may know', async () => {
    expect(await refusals('worker/worker.ts', '../handlers/contract/handler')).to.deep.equal([])
  })
})

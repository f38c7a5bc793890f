import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { ESLint } from 'eslint'

const root = dirname(require.resolve('typeorm-backgrounded/package.json'))

/** The lint rule that keeps imports pointing one way is a guard, and a guard is shown failing. */
describe('the direction of imports', function () {
  this.timeout(60_000)
  const cases: [from: string, imported: string, reason: RegExp | undefined][] = [
    ['worker/worker.ts', '../dispatch/calls', /never the enqueueing/],
    ['dispatch/calls.ts', '../worker/executor', /never the worker/],
    ['handlers/null.ts', '../metadata/registry', /A handler is a translation/],
    ['handlers/database/job-table.ts', '../synchronous', /never knows another handler/],
    ['job/envelope.ts', '../metadata/registry', /A job is plain data/],
    ['errors.ts', './options', /The leaves know nobody/],
    ['backgrounded.ts', './cli/load-data-source', /nothing imports an edge/],
    ['worker/worker.ts', '../handlers/handler', undefined],
  ]
  for (const [from, imported, reason] of cases) {
    it(`${reason ? 'refuses' : 'allows'} ${imported} in ${from}`, async () => {
      const eslint = new ESLint({ cwd: join(root, '../..') })
      const [result] = await eslint.lintText(`import * as imported from '${imported}'\nvoid imported\n`, {
        filePath: join(root, 'src', from),
      })
      const messages = result?.messages.filter(({ ruleId }) => ruleId === 'import-x/no-restricted-paths') ?? []
      if (reason) expect(messages[0]?.message).to.match(reason)
      else expect(messages).to.deep.equal([])
    })
  }
})

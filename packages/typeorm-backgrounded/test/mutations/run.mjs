/**
 * `npm run test:mutations` breaks one line of the library at a time, and says whether the tests that hold that line notice;
 * `npm run test:mutations -- outbox` breaks only files whose path contains the word. The last line counts the mutations.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MutantWorkspace } from './mutant-workspace.mjs'
import { mutations } from './mutations.mjs'

const words = process.argv.slice(2)
const chosen = mutations.filter(({ file }) => words.length === 0 || words.some((word) => file.includes(word)))
const directory = mkdtempSync(join(tmpdir(), 'typeorm-backgrounded-mutations-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const workspace = await MutantWorkspace.create(directory)
const hasFoundAll = reportUnfit()
if (hasFoundAll && (await passUnchanged())) await killAll()
else process.exitCode = 1

/** A mutation whose text was changed since is mended in the list. @returns whether there is none */
function reportUnfit() {
  const unfit = chosen.map((mutation) => [mutation, workspace.whyUnfit(mutation)]).filter(([, reason]) => reason)
  for (const [mutation, reason] of unfit) console.log(`UNFIT ${titleOf(mutation)}\n      ${reason}`)
  return unfit.length === 0
}

/** Without this, tests that fail anyway would kill every mutation. */
async function passUnchanged() {
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
  console.log(`${files.length} test files without a mutation`)
  for (const file of files) {
    const { hasFailed, firstFailure } = await workspace.test([file])
    if (!hasFailed) continue
    console.log(`${file} fails without a mutation: ${firstFailure}`)
    return false
  }
  return true
}

async function killAll() {
  let survived = 0
  for (const mutation of chosen) {
    const { hasFailed, firstFailure } = await workspace.testWith(mutation)
    if (!hasFailed) survived++
    console.log(`${hasFailed ? 'killed  ' : 'SURVIVED'} ${titleOf(mutation)}`)
    console.log(`         ${hasFailed ? firstFailure : mutation.breaks}`)
  }
  console.log(`\n${chosen.length - survived} killed, ${survived} survived`)
  if (survived > 0 || chosen.length === 0) process.exitCode = 1
}

function titleOf({ file, before, after }) {
  return `${file}: ${oneLine(before)} -> ${oneLine(after) || 'nothing'}`
}

function oneLine(text) {
  return text.replaceAll(/\s+/g, ' ').trim()
}

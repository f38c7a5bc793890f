/**
 * `npm run test:lanes` runs the lanes of lanes.mjs; `npm run test:lanes -- oldest` those whose names begin with a word.
 * What cannot be had on this machine is skipped with its reason, and fails where CI is set. The last line counts it all.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installPrograms, pack, Unavailable } from './install.mjs'
import { programLanes, suiteLanes } from './lanes.mjs'
import { startPgBouncer } from './pgbouncer.mjs'
import { missingFor } from './services.mjs'
import { runProgram } from './program.mjs'
import { runSuite } from './suite.mjs'
import { Tally } from './tally.mjs'

/** Compiling SQLite takes a core for a minute, and most machines of a CI have two. */
const INSTALLS_AT_A_TIME = 2

const words = process.argv.slice(2)
const isWanted = ({ name }) => words.length === 0 || words.some((word) => name.startsWith(word))
const directory = mkdtempSync(join(tmpdir(), 'typeorm-backgrounded-lanes-'))
chmodSync(directory, 0o755) // PgBouncer runs as another user
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
const total = new Tally()

await main()
console.log(`\n${total}`)
if (total.failed > 0 || total.passed === 0) process.exitCode = 1

async function main() {
  const chosen = programLanes.filter(isWanted)
  for (const [lane, installed] of await installAll(chosen)) await runProgramLane(lane, installed)
  for (const lane of suiteLanes.filter(isWanted)) await runSuiteLane(lane)
}

/** @returns the lanes, each with what was installed or with the error */
async function installAll(lanes) {
  if (lanes.length === 0) return []
  const tarball = await pack(directory)
  const results = new Map()
  const waiting = [...lanes]
  const installer = async () => {
    for (let lane = waiting.shift(); lane; lane = waiting.shift()) {
      results.set(lane, await installPrograms(lane, tarball, directory).catch((error) => error))
    }
  }
  await Promise.all(Array.from({ length: INSTALLS_AT_A_TIME }, installer))
  return lanes.map((lane) => [lane, results.get(lane)])
}

async function runProgramLane({ name, program, stores }, installed) {
  const tally = new Tally()
  console.log(`\n${name}: ${installed.versions ?? ''}`)
  if (installed instanceof Unavailable) cannotBeHad(tally, name, installed.message)
  else if (installed instanceof Error) fail(tally, name, installed.message)
  else for (const store of stores) tally.add(await runStore(program, installed, store))
  finish(name, tally)
}

async function runStore(program, installed, store) {
  const tally = new Tally()
  const missing = await missingFor(store)
  if (missing) {
    cannotBeHad(tally, store, missing)
    return tally
  }
  const isPooled = store.startsWith('pgbouncer')
  const discardsAll = store === 'pgbouncer-discard-all'
  const pgBouncer = isPooled ? await startPgBouncer(join(directory, 'pgbouncer'), { discardsAll }) : undefined
  const environment = { PGBOUNCER_PORT: String(pgBouncer?.port) }
  const { output, ...counts } = await runProgram(program, installed, store, environment)
  await pgBouncer?.stop()
  tally.add(counts)
  if (counts.failed > 0) console.log(output)
  console.log(`  ${store}: ${tally}`)
  return tally
}

async function runSuiteLane(lane) {
  const tally = new Tally()
  console.log(`\n${lane.name}`)
  tally.add(await runSuite(lane, join(directory, lane.name)))
  finish(lane.name, tally)
}

function cannotBeHad(tally, what, reason) {
  if (process.env.CI) return fail(tally, what, `it cannot be had here: ${reason}`)
  console.log(`  SKIPPED: ${what} cannot be had here: ${reason}`)
  tally.add({ skipped: 1 })
}

function fail(tally, what, reason) {
  console.log(`  FAILED: ${what}: ${reason}`)
  tally.add({ failed: 1 })
}

function finish(name, tally) {
  console.log(`${name}: ${tally}`)
  total.add(tally)
}

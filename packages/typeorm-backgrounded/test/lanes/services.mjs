import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './commands.mjs'
import { repository } from './repository.mjs'

/** What a store, or a condition on Postgres, cannot do without. */
const needs = {
  'better-sqlite3': [],
  sqlite3: [],
  mariadb: ['mariadb'],
  bull: ['postgres', 'redis'],
  'opentelemetry+bull': ['postgres', 'redis'],
  'dd-trace+bull': ['postgres', 'redis'],
  'copying-wrapper+bull': ['postgres', 'redis'],
  'discard-all+bull': ['postgres', 'redis'],
  pgbouncer: ['postgres', 'pgbouncer'],
  'pgbouncer-discard-all': ['postgres', 'pgbouncer'],
  'pgbouncer-with-listen': ['postgres', 'pgbouncer'],
}

const answers = new Map()

/** Why a store cannot be had on this machine, or undefined. */
export async function missingFor(store) {
  for (const service of needs[store] ?? ['postgres']) {
    if (!answers.has(service)) answers.set(service, await missing(service))
    if (answers.get(service)) return answers.get(service)
  }
  return undefined
}

/** The path of the pgbouncer command; Debian has it where only root looks. */
export function pgBouncerCommand() {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return places.map((place) => join(place, 'pgbouncer')).find(isExecutable)
}

async function missing(service) {
  if (service === 'pgbouncer') return pgBouncerCommand() ? undefined : 'no pgbouncer command'
  const { code, output } = await run('node', [join(repository, '.ci/answers.mjs'), service])
  return code === 0 ? undefined : output.trim()
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

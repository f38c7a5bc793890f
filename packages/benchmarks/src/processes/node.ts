import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Figure } from '../figure'
import { SIDES } from '../sides'

/** What the processes of a figure run on. */
export interface Node {
  readonly path: string
  readonly version: string
}

/** graphile-worker asks for this one; pg-boss is content with an older one. */
const LEAST = { major: 22, minor: 18 }
const FETCHED = '24.21.0'

const own: Node = { path: process.execPath, version: process.versions.node }
let fetched: Promise<Node> | undefined

/** All sides of a figure run on the same Node: this one, or a newer one where this one is too old for the SQL peers. */
export async function nodeOf({ turns }: Pick<Figure, 'turns'>): Promise<Node> {
  // The native part of better-sqlite3 is built for the Node that has installed it.
  const usesAddon = turns.some(({ side }) => SIDES[side].store === 'sqlite')
  return usesAddon || isNewEnough(own.version) ? own : (fetched ??= fetchNode())
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > LEAST.major || (major === LEAST.major && minor >= LEAST.minor)
}

/**
 * npm keeps it in a cache of its own. As a dependency it would put a `node` into `node_modules/.bin`, and so become the
 * Node of every npm script in the repository.
 */
async function fetchNode(): Promise<Node> {
  const name = `node-${process.platform}-${process.arch}@${FETCHED}`
  const print = ['--', 'node', '-p', 'process.execPath']
  try {
    const { stdout } = await promisify(execFile)('npm', [
      'exec',
      '--yes',
      '--prefer-offline',
      `--package=${name}`,
      ...print,
    ])
    return { path: stdout.trim(), version: FETCHED }
  } catch (cause) {
    const least = `${LEAST.major}.${LEAST.minor}`
    throw new Error(
      `The SQL peers need Node ${least}, and npm did not provide ${name}: run the benchmark on Node ${least} or later.`,
      {
        cause,
      },
    )
  }
}

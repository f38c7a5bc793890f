import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { curvesOf } from '../curves'
import { figuresOf } from '../figures'
import { merged, type Result } from '../measure/result'
import { FULL } from '../sizes'
import { switchesOf } from '../switches'
import { chartOf } from './chart'
import { pageOf } from './page'

const REPOSITORY = join(require.resolve('benchmarks/package.json'), '../../..')
const LATEST = join(REPOSITORY, 'packages/benchmarks/results/latest.json')
export const PAGE = join(REPOSITORY, 'docs/benchmarks.md')
export const CHART = join(REPOSITORY, 'docs/benchmarks.svg')

export function latest(): Result | undefined {
  return existsSync(LATEST) ? (JSON.parse(readFileSync(LATEST, 'utf8')) as Result) : undefined
}

/** Keeps a result, beside the figures of earlier runs that it does not have, and generates the documents from all. */
export async function keep(fresh: Result): Promise<void> {
  const order = [...figuresOf(FULL), ...switchesOf(FULL), ...curvesOf(FULL)].map(({ name }) => name)
  const result = merged(latest(), fresh, order)
  writeFileSync(LATEST, await laidOut(JSON.stringify(result), LATEST))
  await generate()
}

/** Generates the documents again, from the kept result. */
export async function generate(): Promise<void> {
  const result = latest()
  if (!result) throw new Error('There is no kept result: npm run bench -- --write')
  for (const [file, content] of Object.entries(await generated(result))) writeFileSync(file, content)
}

/** What the documents have to be. */
export async function generated(result: Result): Promise<Record<string, string>> {
  return { [PAGE]: await laidOut(pageOf(result), PAGE), [CHART]: chartOf(result.figures) }
}

async function laidOut(content: string, filepath: string): Promise<string> {
  return format(content, { ...(await resolveConfig(filepath)), filepath })
}

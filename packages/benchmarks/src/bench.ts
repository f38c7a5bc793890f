import { constants } from 'node:os'
import { curvesOf } from './curves'
import type { Figure } from './figure'
import { figuresOf } from './figures'
import { environmentOf } from './measure/environment'
import { verdictOf } from './measure/pairs'
import { progressOf } from './measure/progress'
import type { FigureResult, Result } from './measure/result'
import { measure } from './measure/rounds'
import { parseOptions, selected, sizesOf, type Options } from './options'
import { disposeAll } from './places/places'
import { endChildren } from './processes/child-process'
import { nodeOf } from './processes/node'
import { generate, keep } from './report/files'
import { reportOf } from './report/report'
import type { Sizes } from './sizes'
import { switchesOf } from './switches'
import { TARGETS } from './targets'

const interruption = new AbortController()

main(parseOptions(process.argv)).catch((error: unknown) => {
  // The signal that interrupted it ends the process, after the databases are removed.
  if (interruption.signal.aborted) return
  console.error(error)
  void cleanUp().finally(() => process.exit(1))
})

async function main(options: Options): Promise<void> {
  const sizes = sizesOf(options)
  const figures = selected(catalogueOf(options)(sizes), options)
  if (options.list) return list(figures)
  if (options.generate) return generate()
  if (figures.length === 0) return refuse('No figure has such a name: see --list.')
  if (options.write && options.quick) return refuse('What --quick measures means nothing, and is not written.')
  cleanUpOnSignals()

  const result = await run(figures, sizes.pairs, options)
  console.log(reportOf(result))
  process.exit(isPassed(result) ? 0 : 1)
}

function catalogueOf({ curves, switches }: Options): (sizes: Sizes) => Figure[] {
  if (curves) return curvesOf
  return switches ? switchesOf : figuresOf
}

async function run(figures: readonly Figure[], pairs: number, options: Options): Promise<Result> {
  const { quick: isQuick = false, write } = options
  const environment = await environmentOf()
  const turns = figures.reduce((sum, { turns, rounds }) => sum + turns.length * (rounds ?? pairs), 0)
  const progress = progressOf(turns)
  const results: FigureResult[] = []
  for (const figure of figures) {
    const result = await measure(figure, pairs, await nodeOf(figure), environment, progress, interruption.signal)
    results.push(result)
    // At once: what a long run has measured is not lost when it is interrupted.
    if (write) await keep({ isQuick, figures: [result] })
  }
  progress.stop()
  return { isQuick, figures: results }
}

function isPassed({ figures, isQuick }: Result): boolean {
  if (figures.some(({ failures }) => failures.length > 0)) return false
  if (isQuick) return true
  const byName = new Map(figures.map((figure) => [figure.name, figure]))
  return TARGETS.every((target) => verdictOf(target, byName.get(target.figure)).isBarMet !== false)
}

function list(figures: readonly Figure[]): void {
  for (const { name, title, turns } of figures) {
    console.log(`${name.padEnd(30)} ${title}: ${turns.map(({ label }) => label).join(', ')}`)
  }
}

function refuse(reason: string): void {
  console.error(reason)
  process.exitCode = 2
}

function cleanUpOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      interruption.abort()
      void cleanUp().finally(() => process.exit(128 + constants.signals[signal]))
    })
  }
}

/** Leaves no process, no Redis and no database behind. */
async function cleanUp(): Promise<void> {
  endChildren()
  await disposeAll()
}

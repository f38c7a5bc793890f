import { Command, InvalidArgumentError } from 'commander'
import type { Figure } from './figure'
import { FULL, QUICK, type Sizes } from './sizes'

export interface Options {
  readonly only: readonly string[]
  readonly store?: string
  readonly pairs?: number
  readonly quick?: boolean
  readonly list?: boolean
  readonly curves?: boolean
  readonly switches?: boolean
  readonly write?: boolean
  readonly generate?: boolean
}

export function parseOptions(argv: readonly string[]): Options {
  return new Command('bench')
    .description('Measures this library against its peers, taking turns, and holds it to its targets')
    .option('--only <words...>', 'only figures whose name has each of these words, as in: --only drain 50', [])
    .option('--store <name>', 'only figures about one store: redis, postgres, mariadb or sqlite')
    .option('--pairs <number>', 'rounds in which the sides take turns (default: 5)', positiveNumber)
    .option('--quick', 'small sizes, for trying the program out: the figures mean nothing')
    .option('--curves', 'what a job costs as the work grows, instead of the targets')
    .option('--switches', 'what fast paths of this library buy, instead of the targets')
    .option('--list', 'names the figures, and measures nothing')
    .option('--write', 'keeps the result, and generates docs/benchmarks.md and docs/benchmarks.svg from what is kept')
    .option('--generate', 'generates the documents again from what is kept, and measures nothing')
    .parse(argv)
    .opts<Options>()
}

export function sizesOf({ quick, pairs }: Options): Sizes {
  const sizes = quick ? QUICK : FULL
  return pairs ? { ...sizes, pairs } : sizes
}

export function selected(figures: readonly Figure[], { only, store }: Options): Figure[] {
  return figures.filter((figure) => {
    const words = figure.name.split('-')
    return (!store || figure.store === store) && only.every((word) => figure.name === word || words.includes(word))
  })
}

function positiveNumber(value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Give a whole number of 1 or more.')
  return number
}

import { turnsOf, type Figure, type Turn } from './figure'
import type { Store } from './places/place'
import type { SideName } from './sides'
import type { Sizes } from './sizes'

const LIBRARY: Readonly<Record<Store, SideName>> = {
  postgres: 'library-postgres',
  redis: 'library-redis',
  sqlite: 'library-sqlite',
  mariadb: 'library-mariadb',
}
const STORES = Object.keys(LIBRARY) as Store[]
const ROUNDS = 3

/** What a job costs as the work grows, each step of a curve a turn. */
export function curvesOf(sizes: Sizes): Figure[] {
  return [
    ...STORES.map((store) => backlogs(store, sizes)),
    ...STORES.filter((store) => store !== 'sqlite').map((store) => workers(store, sizes)),
    ...STORES.map((store) => slots(store, sizes)),
    ...STORES.map((store) => payloads(store, sizes)),
    ...STORES.map((store) => besides(store, sizes)),
    ...(['postgres', 'redis'] as const).map((store) => memory(store, sizes)),
    startUps(),
    imports(),
  ].map((curve) => ({ rounds: Math.min(ROUNDS, sizes.pairs), ...curve }))
}

function backlogs(store: Store, { smallBacklog, middleBacklog, largeBacklog, drained }: Sizes): Figure {
  const turns = [smallBacklog, middleBacklog, largeBacklog].map((backlog) =>
    step(store, `${backlog.toLocaleString('en')} waiting`, 'drainFromBacklog', { backlog, jobs: drained, slots: 50 }),
  )
  return { name: `curve-backlog-${store}`, title: 'Drain by backlog', store, turns, keepsPlaces: true }
}

function workers(store: Store, { drained }: Sizes): Figure {
  const turns = [1, 2, 4].map((workers) =>
    step(store, `${workers} worker${workers > 1 ? 's' : ''}`, 'drain', { jobs: 2 * drained, slots: 50, workers }),
  )
  return { name: `curve-workers-${store}`, title: 'Drain by worker processes', store, turns }
}

function slots(store: Store, { drained }: Sizes): Figure {
  const turns = [1, 10, 50].map((slots) =>
    step(store, `${slots} slot${slots > 1 ? 's' : ''}`, 'drain', { jobs: slots === 1 ? drained / 4 : drained, slots }),
  )
  return { name: `curve-slots-${store}`, title: 'Drain by slots', store, turns }
}

function payloads(store: Store, { drained }: Sizes): Figure {
  const sizes = [
    ['100 B', 100],
    ['10 kB', 10_000],
  ] as const
  const turns = sizes.map(([label, size]) =>
    step(store, label, 'drain', { jobs: drained, slots: 50, text: 'x'.repeat(size) }),
  )
  return { name: `curve-payload-${store}`, title: 'Drain by size of the argument', store, turns }
}

function besides(store: Store, { besides, drained }: Sizes): Figure {
  const many = besides.toLocaleString('en')
  const kinds = [
    ['alone', 0, 0],
    [`${many} scheduled`, besides, 0],
    [`${many} failed`, 0, besides],
  ] as const
  const turns = kinds.map(([label, scheduled, failed]) =>
    step(store, label, 'drainBesideOthers', { jobs: drained, slots: 50, scheduled, failed }),
  )
  return { name: `curve-beside-${store}`, title: 'Drain beside jobs that do not run', store, turns }
}

function memory(store: Store, { largeBacklog }: Sizes): Figure {
  const turns = [
    step(store, `${largeBacklog.toLocaleString('en')} drained`, 'drainInConstantMemory', {
      jobs: largeBacklog,
      slots: 50,
    }),
  ]
  return { name: `curve-memory-${store}`, title: 'Memory of a worker over a long drain', store, turns, rounds: 1 }
}

function startUps(): Figure {
  const turns = STORES.flatMap((store) => turnsOf([LIBRARY[store]], 'startUp', {}))
  return { name: 'curve-start', title: 'Start of the worker command until its first run', turns }
}

function imports(): Figure {
  const entries = [undefined, 'typeorm-backgrounded/bull', 'typeorm-backgrounded/database']
  const turns = entries.map((entry) =>
    step('sqlite', entry ? `with ${entry}` : 'typeorm-backgrounded', 'importCost', { entry }),
  )
  return { name: 'curve-import', title: 'Loading the library beside TypeORM', turns }
}

function step<Name extends Turn['work']>(
  store: Store,
  label: string,
  work: Name,
  settings: Extract<Turn, { work: Name }>['settings'],
): Turn {
  return { label, side: LIBRARY[store], work, settings } as unknown as Turn
}

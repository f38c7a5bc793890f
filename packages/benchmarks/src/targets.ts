/** What a figure is held to. The bar is what "done" means; the goal is where the library wants to be known for. */
export interface Target {
  /** The row of the table. */
  readonly title: string
  /** The figure's name. */
  readonly figure: string
  /** A turn of the figure, by its label or its place in the round, and one of its metrics. */
  readonly of: Measured
  readonly against: Measured
  /** `ratio`: the first by the second; `difference`: the first minus the second. */
  readonly compare: 'ratio' | 'difference'
  readonly better: 'more' | 'less'
  readonly unit: '×' | 'ms' | 'MB'
  readonly bar?: number
  readonly goal: number
}

export interface Measured {
  readonly turn: string | number
  readonly metric: string
}

const FIRST = 0
const SECOND = 1

export const TARGETS: readonly Target[] = [
  faster('Bull handler: sequential enqueue', 'enqueue-sequential-redis', 'bull', 0.9, 1),
  faster('Bull handler: concurrent enqueue', 'enqueue-concurrent-redis', 'bull', 0.85, 1),
  faster('Bull handler: drain with reload, 50 slots', 'drain-50-redis', 'bull', 2, 3),
  faster('Bull handler: save + call with the outbox, 1 client', 'save-1-redis', 'bull', 0.5, 0.9),
  faster('Bull handler: save + call with the outbox, 32 clients', 'save-32-redis', 'bull', 0.5, 0.9),
  faster('Postgres: concurrent enqueue', 'enqueue-concurrent-postgres', 'graphile', 20, 30),
  faster('Postgres: sequential enqueue', 'enqueue-sequential-postgres', 'graphile', 1.3, 1.5),
  faster('Postgres: save + call in one transaction, 1 client', 'save-1-postgres', 'bull', 1, 1.3),
  faster('Postgres: save + call in one transaction, 32 clients', 'save-32-postgres', 'bull', 1, 1.3),
  faster('Postgres: drain with reload, 50 slots', 'drain-50-postgres', 'graphile-batched', 2.5, 4),
  faster('Postgres: drain with reload, 50 slots', 'drain-50-postgres', 'bull', 2.5, 4),
  faster('Postgres: drain with reload, 10 slots', 'drain-10-postgres', 'graphile-batched', 1.2, 2),
  faster('Postgres: drain with reload, 10 slots', 'drain-10-postgres', 'bull', 1.2, 2),
  sooner('Bull handler: latency, p50', 'latency-redis', 'bull', 1, 0),
  sooner('Bull handler: latency, p50', 'latency-redis', 'graphile', undefined, 0),
  sooner('Postgres: latency, p50', 'latency-postgres', 'graphile', 0, 0),
  sooner('Postgres: latency, p50', 'latency-postgres', 'bull', undefined, 0),
  undisturbed('Postgres: drain with 1 million waiting', 'backlog-postgres', 0.9),
  undisturbed('SQLite: drain with 1 million waiting', 'backlog-sqlite', 0.9),
  undisturbed('MariaDB: drain with 1 million waiting', 'backlog-mariadb', 0.6),
  {
    title: 'Postgres: held MVCC horizon, last tenth of 50,000 jobs',
    figure: 'horizon-postgres',
    of: { turn: 'horizon held', metric: 'last' },
    against: { turn: 'horizon held', metric: 'first' },
    compare: 'ratio',
    better: 'more',
    unit: '×',
    bar: 0.7,
    goal: 1,
  },
  faster('SQLite: drain with reload, 50 slots', 'drain-50-sqlite', 'floor-sqlite', 0.4, 0.7),
  faster('SQLite: drain with reload, 10 slots', 'drain-10-sqlite', 'floor-sqlite', 0.4, 0.7),
  faster('MariaDB: drain with reload, 50 slots', 'drain-50-mariadb', 'floor-mariadb', 0.4, 0.7),
  faster('MariaDB: drain with reload, 10 slots', 'drain-10-mariadb', 'floor-mariadb', 0.4, 0.7),
  {
    title: 'Bull handler: Redis memory of a waiting job',
    figure: 'memory-redis',
    of: { turn: 'library-redis', metric: 'bytes' },
    against: { turn: 'bull', metric: 'bytes' },
    compare: 'ratio',
    better: 'less',
    unit: '×',
    bar: 1.6,
    goal: 1.3,
  },
  smaller('Bull handler: worker RSS at 50 slots', 'drain-50-redis', 'bull', 40, 25),
  smaller('Postgres: worker RSS at 50 slots', 'drain-50-postgres', 'graphile-batched', 40, 25),
]

function faster(title: string, figure: string, than: string, bar: number, goal: number): Target {
  const [of, against] = [FIRST, than].map((turn) => ({ turn, metric: 'pace' })) as [Measured, Measured]
  return { title, figure, of, against, compare: 'ratio', better: 'more', unit: '×', bar, goal }
}

function undisturbed(title: string, figure: string, bar: number): Target {
  const [of, against] = [FIRST, SECOND].map((turn) => ({ turn, metric: 'pace' })) as [Measured, Measured]
  return { title, figure, of, against, compare: 'ratio', better: 'more', unit: '×', bar, goal: 1 }
}

function sooner(title: string, figure: string, than: string, bar: number | undefined, goal: number): Target {
  const [of, against] = [FIRST, than].map((turn) => ({ turn, metric: 'p50' })) as [Measured, Measured]
  return { title, figure, of, against, compare: 'difference', better: 'less', unit: 'ms', bar, goal }
}

function smaller(title: string, figure: string, than: string, bar: number, goal: number): Target {
  const [of, against] = [FIRST, than].map((turn) => ({ turn, metric: 'rss' })) as [Measured, Measured]
  return { title, figure, of, against, compare: 'difference', better: 'less', unit: 'MB', bar, goal }
}

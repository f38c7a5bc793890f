import type { SideName } from './sides'

/** What a figure is held to. The bar is what "done" means; the goal is where the library wants to be known for. */
export interface Target {
  /** The row of the table. */
  readonly title: string
  /** The figure's name. */
  readonly figure: string
  /** A turn of the figure, by its label or its place in the round, and one of its metrics. */
  readonly of: Measured
  /** Absent: the value itself is the target. */
  readonly against?: Measured | Best
  /** `ratio`: the first by the second; `difference`: the first minus the second. */
  readonly compare: 'ratio' | 'difference' | 'alone'
  readonly better: 'more' | 'less'
  readonly unit: '×' | 'ms' | 'MB' | 'a minute' | '% of a core'
  readonly bar?: number
  readonly goal: number
}

export interface Measured {
  readonly turn: string | number
  readonly metric: string
}

/** Of several turns, the one with the best median. */
export interface Best {
  readonly turns: readonly string[]
  readonly metric: string
}

const FIRST = 0
const SECOND = 1

/** The jobs of all of them are rows of Postgres. */
const SQL_PEERS: readonly SideName[] = ['graphile', 'pg-boss', 'bullmq-postgres']
const SQL_DRAINERS: readonly SideName[] = ['graphile-batched', 'pg-boss', 'bullmq-postgres']

type Opponent = SideName | readonly SideName[]

export const TARGETS: readonly Target[] = [
  faster('Bull handler: sequential enqueue', 'enqueue-sequential-redis', 'bull', 0.9, 1),
  faster('Bull handler: concurrent enqueue', 'enqueue-concurrent-redis', 'bull', 0.85, 2.5),
  faster('Bull handler: drain with reload, 50 slots', 'drain-50-redis', 'bull', 2, 4),
  faster('Bull handler: drain with reload, 50 slots', 'drain-50-redis', 'bullmq', 2, 4),
  faster('Bull handler: save + call with the outbox, 1 client', 'save-1-redis', 'bull', 0.5, 0.9),
  faster('Bull handler: save + call with the outbox, 32 clients', 'save-32-redis', 'bull', 0.5, 0.9),
  faster('Postgres: concurrent enqueue', 'enqueue-concurrent-postgres', SQL_PEERS, 20, 30),
  faster('Postgres: sequential enqueue', 'enqueue-sequential-postgres', SQL_PEERS, 1.3, 2),
  faster('Postgres: bulk enqueue', 'enqueue-bulk-postgres', SQL_PEERS, 1, 1.5),
  faster('Postgres: save + call in one transaction, 1 client', 'save-1-postgres', 'insert', 1.15, 1.4),
  faster('Postgres: save + call in one transaction, 32 clients', 'save-32-postgres', 'insert', 1.1, 1.2),
  faster('Postgres: save + call in one transaction, 1 client', 'save-1-postgres', 'bull', 0.85, 1),
  faster('Postgres: save + call in one transaction, 32 clients', 'save-32-postgres', 'bull', 0.85, 1),
  faster('Postgres: save + call + another statement, 1 client', 'save-update-1-postgres', 'insert', 1.1, 1.2),
  faster('Postgres: save + call + another statement, 32 clients', 'save-update-32-postgres', 'insert', 1, 1.2),
  faster('Postgres: drain with reload, 50 slots', 'drain-50-postgres', SQL_DRAINERS, 2.5, 4),
  faster('Postgres: drain with reload, 50 slots', 'drain-50-postgres', 'bull', 2.5, 4),
  faster('Postgres: drain with reload, 10 slots', 'drain-10-postgres', SQL_DRAINERS, 1.2, 2),
  faster('Postgres: drain with reload, 10 slots', 'drain-10-postgres', 'bull', 1.2, 2),
  faster('Postgres: drain without rows, 50 slots', 'empty-50-postgres', SQL_DRAINERS, 1.5, 3),
  sooner('Bull handler: latency, p50', 'latency-redis', 'bull', 1, 0),
  sooner('Bull handler: latency, p50', 'latency-redis', 'graphile', undefined, 0),
  sooner('Postgres: latency, p50', 'latency-postgres', SQL_PEERS, 0, 0),
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
  lighter('Bull handler: Redis memory of a waiting job', 'memory-redis', 'bytes', 'bull', 1.6, 1),
  smaller('Bull handler: worker RSS at 50 slots', 'drain-50-redis', 'bull', 40, 0),
  smaller('Postgres: worker RSS at 50 slots', 'drain-50-postgres', SQL_DRAINERS, 40, 0),
  atMost('Postgres: statements of an idle worker', 'rest-postgres', 'statements', 'a minute', 100, 40),
  atMost('Postgres: CPU time of an idle worker', 'rest-postgres', 'cpu', '% of a core', 0.3, 0.1),
  lighter('Postgres: write-ahead log of a job', 'log-postgres', 'wal', ['graphile', 'graphile-batched'], 1, 0.7),
]

function faster(title: string, figure: string, than: Opponent, bar: number, goal: number): Target {
  const [of, against] = [ofFirst('pace'), opponent(than, 'pace')]
  return { title, figure, of, against, compare: 'ratio', better: 'more', unit: '×', bar, goal }
}

function undisturbed(title: string, figure: string, bar: number): Target {
  const [of, against] = [ofFirst('pace'), { turn: SECOND, metric: 'pace' }]
  return { title, figure, of, against, compare: 'ratio', better: 'more', unit: '×', bar, goal: 1 }
}

function lighter(title: string, figure: string, metric: string, than: Opponent, bar: number, goal: number): Target {
  const [of, against] = [ofFirst(metric), opponent(than, metric)]
  return { title, figure, of, against, compare: 'ratio', better: 'less', unit: '×', bar, goal }
}

function sooner(title: string, figure: string, than: Opponent, bar: number | undefined, goal: number): Target {
  const [of, against] = [ofFirst('p50'), opponent(than, 'p50')]
  return { title, figure, of, against, compare: 'difference', better: 'less', unit: 'ms', bar, goal }
}

function smaller(title: string, figure: string, than: Opponent, bar: number, goal: number): Target {
  const [of, against] = [ofFirst('rss'), opponent(than, 'rss')]
  return { title, figure, of, against, compare: 'difference', better: 'less', unit: 'MB', bar, goal }
}

function atMost(
  title: string,
  figure: string,
  metric: string,
  unit: Target['unit'],
  bar: number,
  goal: number,
): Target {
  return { title, figure, of: ofFirst(metric), compare: 'alone', better: 'less', unit, bar, goal }
}

function ofFirst(metric: string): Measured {
  return { turn: FIRST, metric }
}

function opponent(than: Opponent, metric: string): Measured | Best {
  return typeof than === 'string' ? { turn: than, metric } : { turns: than, metric }
}

import { POOL, turnsOf, type Figure } from './figure'
import type { Store } from './places/place'
import type { SideName } from './sides'
import type { SaveOptions } from './sides/side'
import type { Sizes } from './sizes'

/** Everything that targets are about. The library goes first, then those it is compared with, then the rest. */
export function figuresOf(sizes: Sizes): Figure[] {
  return [
    ...enqueueing('redis', ['library-redis', 'bull', 'bullmq'], sizes),
    ...enqueueing('postgres', ['library-postgres', 'graphile', 'pg-boss', 'bullmq-postgres'], sizes),
    ...saving('redis', ['library-redis', 'bull'], sizes),
    ...saving('postgres', ['library-postgres', 'insert', 'bull', 'graphile'], sizes),
    ...saving('postgres', ['library-postgres', 'insert'], sizes, { isUpdating: true }),
    ...draining('redis', ['library-redis', 'bull', 'bullmq'], sizes),
    ...draining('postgres', ['library-postgres', 'graphile-batched', 'bull', 'pg-boss', 'bullmq-postgres'], sizes),
    {
      name: 'empty-50-postgres',
      title: `Drain ${sizes.drained.toLocaleString('en')} jobs that load nothing and do nothing, 50 slots`,
      store: 'postgres',
      turns: turnsOf(['library-postgres', 'graphile-batched', 'pg-boss', 'bullmq-postgres'], 'drain', {
        jobs: sizes.drained,
        slots: 50,
        isEmpty: true,
      }),
    },
    ...draining('sqlite', ['library-sqlite', 'floor-sqlite'], sizes),
    ...draining('mariadb', ['library-mariadb', 'floor-mariadb'], sizes),
    waiting('redis', ['library-redis', 'bull', 'graphile'], sizes),
    waiting('postgres', ['library-postgres', 'graphile', 'bull', 'pg-boss', 'bullmq-postgres'], sizes),
    ...(['postgres', 'sqlite', 'mariadb'] as const).map((store) => backlog(store, sizes)),
    {
      name: 'horizon-postgres',
      title: 'Drain while a transaction holds the MVCC horizon',
      store: 'postgres',
      turns: [
        { label: 'horizon held', isHeld: true },
        { label: 'horizon free', isHeld: false },
      ].map(({ label, isHeld }) => ({
        label,
        side: 'library-postgres',
        work: 'drainWithHeldHorizon',
        settings: { jobs: sizes.horizonJobs, slots: 50, isHeld },
      })),
    },
    {
      name: 'memory-redis',
      title: 'Memory of a waiting job',
      store: 'redis',
      turns: turnsOf(['library-redis', 'bull', 'bullmq'], 'waitingMemory', { jobs: sizes.waiting }),
    },
    {
      name: 'rest-postgres',
      title: 'An idle worker',
      store: 'postgres',
      turns: turnsOf(['library-postgres', 'graphile', 'pg-boss', 'bullmq-postgres'], 'rest', {
        slots: 50,
        warmUp: sizes.restWarmUp,
        seconds: sizes.rest,
      }),
      // It is long, and hardly varies.
      rounds: 1,
    },
    {
      name: 'log-postgres',
      title: 'Write-ahead log of a job, from its call to its end',
      store: 'postgres',
      turns: turnsOf(
        ['library-postgres', 'graphile', 'graphile-batched', 'pg-boss', 'bullmq-postgres'],
        'writeAheadLog',
        {
          jobs: sizes.drained,
          slots: 50,
        },
      ),
    },
  ]
}

function enqueueing(store: Store, sides: readonly SideName[], sizes: Sizes): Figure[] {
  const { sequentialCalls, concurrentCalls, bulkJobs, bulkChunk, warmUp } = sizes
  return [
    {
      name: `enqueue-sequential-${store}`,
      title: 'Enqueue, each call awaited',
      store,
      turns: turnsOf(sides, 'enqueueSequential', { calls: sequentialCalls, warmUp }),
    },
    {
      name: `enqueue-concurrent-${store}`,
      title: `Enqueue, ${concurrentCalls.toLocaleString('en')} calls started together`,
      store,
      turns: turnsOf(sides, 'enqueueConcurrent', { calls: concurrentCalls, warmUp }),
    },
    {
      name: `enqueue-bulk-${store}`,
      title: `Enqueue, ${bulkChunk.toLocaleString('en')} jobs a call`,
      store,
      turns: turnsOf(sides, 'enqueueBulk', { jobs: bulkJobs, chunk: bulkChunk }),
    },
  ]
}

function saving(
  store: Store,
  sides: readonly SideName[],
  { saves, savesOfMany, warmUp }: Sizes,
  options: SaveOptions = {},
): Figure[] {
  const [name, title] = options.isUpdating
    ? ['save-update', 'Save a row, call, and update the row']
    : ['save', 'Save a row and call']
  return [
    { clients: 1, saves },
    { clients: 32, saves: savesOfMany },
  ].map(({ clients, saves }) => ({
    name: `${name}-${clients}-${store}`,
    title: `${title}, ${clients} client${clients > 1 ? 's' : ''}`,
    store,
    // Every client has a connection on every side.
    turns: turnsOf(sides, 'saveAndCall', { clients, saves, warmUp, ...options }, Math.max(POOL, clients)),
  }))
}

function draining(store: Store, sides: readonly SideName[], { drained }: Sizes): Figure[] {
  return [10, 50].map((slots) => ({
    name: `drain-${slots}-${store}`,
    title: `Drain ${drained.toLocaleString('en')} jobs with reload, ${slots} slots`,
    store,
    turns: turnsOf(sides, 'drain', { jobs: drained, slots }),
  }))
}

function waiting(store: Store, sides: readonly SideName[], { latencyCalls, warmUpApart }: Sizes): Figure {
  return {
    name: `latency-${store}`,
    title: `From call to start on an idle worker, ${latencyCalls} calls 10 ms apart`,
    store,
    turns: turnsOf(sides, 'latency', { calls: latencyCalls, warmUp: warmUpApart, interval: 10, slots: 10 }),
  }
}

function backlog(store: 'postgres' | 'sqlite' | 'mariadb', { drained, smallBacklog, largeBacklog }: Sizes): Figure {
  const turns = [largeBacklog, smallBacklog].map((backlog) => ({
    label: `${backlog.toLocaleString('en')} waiting`,
    side: `library-${store}` as const,
    work: 'drainFromBacklog' as const,
    settings: { backlog, jobs: drained, slots: 50 },
  }))
  return {
    name: `backlog-${store}`,
    title: `Drain ${drained.toLocaleString('en')} jobs from a backlog, 50 slots`,
    store,
    turns,
    keepsPlaces: true,
  }
}

import type { FastPathName } from './fast-paths'
import { POOL, turnsOf, type Figure } from './figure'
import type { Store } from './places/place'
import type { SideName } from './sides'
import type { Sizes } from './sizes'
import type { SettingsOf, WorkName } from './work'

/** What fast paths buy: this library against itself, without one of them at a time. */
export function switchesOf(sizes: Sizes): Figure[] {
  const { drained, sequentialCalls, concurrentCalls, warmUp, savesOfMany, latencyCalls, warmUpApart } = sizes
  const concurrent = { calls: concurrentCalls, warmUp }
  const latency = { calls: latencyCalls, warmUp: warmUpApart, interval: 10, slots: 10 }
  const save = { clients: 32, saves: savesOfMany, warmUp }
  return [
    drain('postgres', 10, 'acknowledge-and-claim', 'claim-of-one-lane', 'claim-cursors', 'prefetch', 'listen'),
    drain('postgres', 50, 'acknowledge-and-claim', 'claim-of-one-lane', 'claim-cursors', 'prefetch', 'listen'),
    drain('mariadb', 50, 'acknowledge-and-claim', 'batched-loads', 'repeated-find'),
    drain('sqlite', 50, 'batched-loads', 'repeated-find', 'checkpoints', 'limit-without-plan'),
    drain('redis', 50, 'acknowledge-and-claim', 'batched-loads', 'repeated-find'),
    {
      name: 'switch-horizon-postgres',
      title: 'Fast paths while a transaction holds the MVCC horizon',
      store: 'postgres',
      turns: sides('postgres', ['claim-cursors']).map((side) => ({
        label: side,
        side,
        work: 'drainWithHeldHorizon',
        settings: { jobs: sizes.horizonJobs, slots: 50, isHeld: true },
      })),
    },
    figure('latency', 'from call to start', 'postgres', 'latency', latency, [
      'prefetch',
      'listen',
      'notify-with-insert',
    ]),
    figure(
      'sequential',
      'of calls, each awaited',
      'postgres',
      'enqueueSequential',
      { calls: sequentialCalls, warmUp },
      ['notify', 'notify-with-insert'],
    ),
    ...(['postgres', 'mariadb', 'sqlite'] as const).map((store) =>
      figure('concurrent', 'of calls started together', store, 'enqueueConcurrent', concurrent, ['batched-calls']),
    ),
    figure('save-32', 'of saving and calling, 32 clients', 'postgres', 'saveAndCall', save, [
      'insert-with-commit',
      'insert-without-check',
      'spaced-notify',
      'notify',
    ]),
  ]

  function drain(store: Store, slots: number, ...without: FastPathName[]): Figure {
    const title = `of a drain with reload, ${slots} slots`
    return figure(`drain-${slots}`, title, store, 'drain', { jobs: drained, slots }, without)
  }
}

function figure<Name extends WorkName>(
  name: string,
  title: string,
  store: Store,
  work: Name,
  settings: SettingsOf<Name>,
  without: readonly FastPathName[],
): Figure {
  const clients = 'clients' in settings ? Number(settings.clients) : 0
  return {
    name: `switch-${name}-${store}`,
    title: `Fast paths ${title}`,
    store,
    turns: turnsOf(sides(store, without), work, settings, Math.max(POOL, clients)),
  }
}

/** The whole library first. */
function sides(store: Store, without: readonly FastPathName[]): SideName[] {
  return [`library-${store}`, ...without.map((name): SideName => `library-${store}-without-${name}`)]
}

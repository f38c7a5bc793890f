import { POOL, turnsOf, type Figure } from './figure'
import type { Sizes } from './sizes'

/** What fast paths buy: this library against itself without one of them, as far as public options turn them off. */
export function switchesOf(sizes: Sizes): Figure[] {
  const { drained, sequentialCalls, concurrentCalls, warmUp, savesOfMany, latencyCalls, warmUpApart } = sizes
  const workers = ['library-postgres', 'library-without-prefetch', 'library-without-listen'] as const
  const callers = ['library-postgres', 'library-without-notify'] as const
  return [
    ...[10, 50].map((slots) => ({
      name: `switch-drain-${slots}-postgres`,
      title: `Fast paths of a drain with reload, ${slots} slots`,
      turns: turnsOf(workers, 'drain', { jobs: drained, slots }),
    })),
    {
      name: 'switch-latency-postgres',
      title: 'Fast paths from call to start',
      turns: turnsOf(workers, 'latency', { calls: latencyCalls, warmUp: warmUpApart, interval: 10, slots: 10 }),
    },
    {
      name: 'switch-sequential-postgres',
      title: 'Fast paths of calls, each awaited',
      turns: turnsOf(callers, 'enqueueSequential', { calls: sequentialCalls, warmUp }),
    },
    {
      name: 'switch-concurrent-postgres',
      title: 'Fast paths of calls started together',
      turns: turnsOf(callers, 'enqueueConcurrent', { calls: concurrentCalls, warmUp }),
    },
    {
      name: 'switch-save-32-postgres',
      title: 'Fast paths of saving and calling, 32 clients',
      turns: turnsOf(callers, 'saveAndCall', { clients: 32, saves: savesOfMany, warmUp }, Math.max(POOL, 32)),
    },
  ].map((figure) => ({ ...figure, store: 'postgres' }))
}

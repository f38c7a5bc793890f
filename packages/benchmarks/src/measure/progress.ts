import { SingleBar } from 'cli-progress'
import type { Watcher } from './rounds'

/** How far a run is: a bar on a terminal, lines elsewhere. On stderr, since the result is on stdout. */
export function progressOf(turns: number): Watcher & { stop(): void } {
  return process.stderr.isTTY ? bar(turns) : lines(turns)
}

function bar(turns: number): Watcher & { stop(): void } {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} | {eta_formatted} left | {name}',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  })
  bar.start(turns, 0, { name: '' })
  return {
    begins: ({ name }, { label }, round, rounds) =>
      bar.update({ name: `${name}: ${label}, ${round + 1} of ${rounds}` }),
    ended: () => bar.increment(),
    stop: () => bar.stop(),
  }
}

function lines(turns: number): Watcher & { stop(): void } {
  let done = 0
  return {
    begins() {},
    ended({ name }, { label }, metrics) {
      const told = metrics ? Object.entries(metrics).map(([metric, value]) => `${metric} ${value}`) : ['failed']
      console.error(`${++done}/${turns} ${name}: ${label}: ${told.join(', ')}`)
    },
    stop() {},
  }
}

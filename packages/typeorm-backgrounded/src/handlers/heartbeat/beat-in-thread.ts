import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { oneLine } from '../../reporting/one-line'
import { Heart, type Pulse } from './heart'
import { LifeSign } from './life-sign'

/** The `workerData` of a heartbeat's thread. */
export interface ThreadData<Data> {
  readonly memory: SharedArrayBuffer
  /** ms */
  readonly every: number
  /** ms */
  readonly longestSilence: number
  readonly data: Data
}

export type ThreadNews = 'gap' | 'first beat'

/** The whole program of a heartbeat's thread: beats, and ends a process that hangs. */
export function beatInThread<Data>(pulseOf: (data: Data) => Pulse): void {
  const { memory, every, longestSilence, data } = workerData as ThreadData<Data>
  const post = (news: ThreadNews) => () => parentPort?.postMessage(news)
  new Heart(pulseOf(data), every, post('gap'), post('first beat'))
  watch(new LifeSign(memory), longestSilence)
}

const CHECK_EVERY = 1_000

/** Counts checks instead of measuring time, because a suspended process, or one whose clock was set, does not hang. */
function watch(sign: LifeSign, longestSilence: number): void {
  let seen = sign.turns
  let silentChecks = 0
  setInterval(() => {
    silentChecks = sign.turns === seen && !sign.isDebugged ? silentChecks + 1 : 0
    seen = sign.turns
    if (silentChecks * CHECK_EVERY > longestSilence) endProcess(sign, silentChecks * CHECK_EVERY)
  }, CHECK_EVERY)
}

function endProcess({ names }: LifeSign, silence: number): void {
  const running = oneLine(names) || 'no method'
  // Straight to the terminal, because a stream of this thread would go through the main loop, which hangs.
  writeSync(
    2,
    `typeorm-backgrounded: the event loop has not turned for ${Math.round(silence / 1000)} s while running ${running}: ending the process\n`,
  )
  process.kill(process.pid, 'SIGKILL')
}

import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { oneLine } from '../../reporting/one-line'
import { Heart, type Pulse } from './heart'
import { LifeSign } from './life-sign'

/** What a heartbeat's thread is given. */
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
  const tell = (news: ThreadNews) => () => parentPort?.postMessage(news)
  new Heart(pulseOf(data), every, tell('gap'), tell('first beat'))
  watch(new LifeSign(memory), longestSilence)
}

const LOOK_EVERY = 1_000

/** Counts looks, not the time: a process that was suspended, or a clock that was set, is no hung one. */
function watch(sign: LifeSign, longestSilence: number): void {
  let seen = sign.turns
  let looks = 0
  setInterval(() => {
    looks = sign.turns === seen && !sign.isDebugged ? looks + 1 : 0
    seen = sign.turns
    if (looks * LOOK_EVERY > longestSilence) endProcess(sign, looks * LOOK_EVERY)
  }, LOOK_EVERY)
}

function endProcess({ names }: LifeSign, silence: number): void {
  const running = oneLine(names) || 'no method'
  // Straight to the terminal: a stream of this thread would go by the main loop.
  writeSync(
    2,
    `typeorm-backgrounded: the event loop has not turned for ${Math.round(silence / 1000)} s while running ${running}: ending the process\n`,
  )
  process.kill(process.pid, 'SIGKILL')
}

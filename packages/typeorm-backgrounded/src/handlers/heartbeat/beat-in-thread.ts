import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
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

/** The whole program of a heartbeat's thread: beats, and ends a process that hangs. */
export function beatInThread<Data>(pulseOf: (data: Data) => Pulse): void {
  const { memory, every, longestSilence, data } = workerData as ThreadData<Data>
  new Heart(pulseOf(data), every, () => parentPort?.postMessage('gap'))
  const sign = new LifeSign(memory)
  setInterval(() => {
    if (sign.silence > longestSilence) endProcess(sign)
  }, 1_000)
}

function endProcess(sign: LifeSign): void {
  const minutes = Math.round(sign.silence / 60_000)
  const running = sign.names || 'no method'
  // Straight to the terminal: a stream of this thread would go by the main loop.
  writeSync(
    2,
    `typeorm-backgrounded: the event loop has not turned for ${minutes} minutes while running ${running}: ending the process\n`,
  )
  process.kill(process.pid, 'SIGKILL')
}

import { fork } from 'node:child_process'
import { join } from 'node:path'
import { now } from '../measure/clock'
import { SIDES } from '../sides'
import type { FirstRun } from '../processes/worker-data-source'
import { Child, dataOf } from '../processes/child-process'
import type { Work } from './work'

const CLI = join(require.resolve('typeorm-backgrounded/package.json'), '../dist/cli/index.js')

/** ms from the start of `typeorm-backgrounded worker` to its first run, and its memory then. */
export const startUp: Work<object> = async (side, place) => {
  await Child.run('fill', side, place, { jobs: 1, chunk: 1 })
  const start = now()
  const child = fork(CLI, ['worker', '-d', join(__dirname, '../processes/worker-data-source.js')], {
    env: {
      ...process.env,
      BENCH_PLACE: JSON.stringify(dataOf(place)),
      BENCH_STORE: SIDES[side].store,
    },
    execPath: place.node,
    stdio: 'ignore',
    detached: true,
  })
  try {
    const { at, rss } = await new Promise<FirstRun>((resolve, reject) => {
      child.once('message', resolve as (message: unknown) => void)
      child.once('exit', () => reject(new Error('The worker ended before its first run.')))
    })
    return { ms: at - start, rss }
  } finally {
    child.kill('SIGKILL')
  }
}

import { countStatements } from '../places/statement-counter'
import { Child } from '../processes/child-process'
import { WATCHED, type RestSettings } from '../steps/rest'
import type { Work } from './work'

/** What an idle worker costs: statements a minute, and CPU time in percent of a core. */
export const rest: Work<RestSettings> = async (side, place, settings) => {
  if (!place.postgres) throw new Error('Only statements of Postgres are counted.')
  // The tables are made without it.
  await Child.run('fill', side, place, { jobs: 0, chunk: 1 })
  const counter = await countStatements(place.postgres)
  try {
    const worker = await Child.start('rest', side, { ...place, postgres: counter.place }, settings)
    let before = 0
    const counted = new Promise<number>((resolve, reject) => {
      worker
        .watch(() => {
          if (worker.count === WATCHED) before = counter.count()
          else resolve(counter.count() - before)
        })
        .catch(reject)
    })
    worker.go()
    const statements = await counted
    worker.stop()
    return { statements: (statements / settings.seconds) * 60, cpu: await worker.end() }
  } finally {
    await counter.close()
  }
}

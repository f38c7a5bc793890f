import { withBackgrounded } from 'typeorm-backgrounded'
import { now } from '../measure/clock'
import { BackgroundedUser } from '../model/backgrounded-user'
import type { Place } from '../places/place'
import { dataSourceOf } from '../sides/data-source'

/** What the worker command loads to have its start measured. */
export interface FirstRun {
  /** ms of the shared clock */
  readonly at: number
  /** MB */
  readonly rss: number
}

const place = JSON.parse(process.env.BENCH_PLACE ?? '{}') as Place

BackgroundedUser.ran = () => {
  process.send?.({ at: now(), rss: process.memoryUsage.rss() / 2 ** 20 } satisfies FirstRun)
  return undefined
}

export const dataSource = handler().then((chosen) =>
  withBackgrounded(dataSourceOf(place, BackgroundedUser), { handler: chosen }),
)

async function handler() {
  if (process.env.BENCH_STORE === 'redis') {
    const { BullHandler } = await import('typeorm-backgrounded/bull')
    return new BullHandler({ redis: { ...place.redis } })
  }
  const { DatabaseHandler } = await import('typeorm-backgrounded/database')
  return new DatabaseHandler()
}

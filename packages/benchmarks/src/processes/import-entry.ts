import { now } from '../measure/clock'

/** What loading the library adds to a process that has TypeORM already. */
export interface ImportCost {
  /** ms */
  readonly ms: number
  /** MB */
  readonly rss: number
  /** Modules loaded. */
  readonly modules: number
}

void (async () => {
  await import('reflect-metadata')
  await import('typeorm')
  globalThis.gc?.()
  const before = { at: now(), rss: process.memoryUsage.rss(), modules: Object.keys(require.cache).length }
  await import('typeorm-backgrounded')
  if (process.argv[2]) await import(process.argv[2])
  const ms = now() - before.at
  globalThis.gc?.()
  const rss = (process.memoryUsage.rss() - before.rss) / 2 ** 20
  const modules = Object.keys(require.cache).length - before.modules
  process.send?.({ ms, rss, modules } satisfies ImportCost)
  process.disconnect()
})()

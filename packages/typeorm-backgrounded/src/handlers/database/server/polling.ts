/** ms */
const SHORTEST = 10
const JITTER = 0.1

/**
 * How long to wait before the next poll, in ms. Without notifications, that is a quarter of the idle time, up to
 * `interval`. With notifications, polling is only a precaution: it is done every `interval`, and after a minute without
 * jobs ever more rarely, down to every fifth `interval`.
 * @param interval ms
 * @param idle ms since the worker last had a job
 */
export function pollDelay(interval: number, idle: number, isListening: boolean): number {
  const delay = isListening
    ? Math.min(Math.max(interval, idle / 60), 5 * interval)
    : Math.min(Math.max(SHORTEST, idle / 4), interval)
  return delay * (1 + JITTER * (2 * Math.random() - 1))
}

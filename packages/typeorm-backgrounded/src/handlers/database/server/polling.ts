/** ms */
const SHORTEST = 10
const JITTER = 0.1

/**
 * How long to wait before the next look. Where nobody tells of new jobs: a quarter of the time since there was
 * something to do, up to `interval`. Where somebody does, a look is a precaution, and after a minute of nothing it comes
 * up to five times more rarely.
 * @param interval ms
 * @param idle ms since there was something to do
 */
export function pollDelay(interval: number, idle: number, isListening: boolean): number {
  const delay = isListening
    ? Math.min(Math.max(interval, idle / 60), 5 * interval)
    : Math.min(Math.max(SHORTEST, idle / 4), interval)
  return delay * (1 + JITTER * (2 * Math.random() - 1))
}

const SHORTEST = 100
const LONGEST = 5_000

/** How long to wait before the next try, in ms. */
export function retryDelay(tries: number): number {
  return Math.min(SHORTEST * 2 ** tries, LONGEST)
}

/** Between two beats, in ms: who has missed more cannot be sure what has become of the others meanwhile. */
export function longestGap(lease: number): number {
  return Math.round((lease * 3) / 8)
}

/** The longest time between two beats, in ms, that still counts as uninterrupted contact with the store. */
export function longestGap(lease: number): number {
  return Math.round((lease * 3) / 8)
}

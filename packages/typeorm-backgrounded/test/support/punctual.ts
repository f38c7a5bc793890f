import { expect } from 'chai'

/**
 * None early, most within 100 ms of their time, and all within a second, since the machine may have other things to do.
 * @param lateness ms
 */
export function expectPunctual(lateness: readonly number[]): void {
  const sorted = [...lateness].sort((a, b) => a - b)
  const [first, median, last] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((index) => sorted[index])
  expect(first, lateness.join()).to.be.at.least(-5)
  expect(median, lateness.join()).to.be.at.most(100)
  expect(last, lateness.join()).to.be.at.most(1_000)
}

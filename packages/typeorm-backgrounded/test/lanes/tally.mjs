/** Counts of tests, and how they are said. */
export class Tally {
  passed = 0
  failed = 0
  skipped = 0

  add({ passed = 0, failed = 0, skipped = 0 }) {
    this.passed += passed
    this.failed += failed
    this.skipped += skipped
  }

  toString() {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`
  }
}

import { expect } from 'chai'
import { getHeapSpaceStatistics } from 'node:v8'
import { Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, drain, reference, withBackgrounded } from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { inFile } from '../support/data-sources'

const WINDOW = 3_000
const WINDOWS = 5
const MB = 2 ** 20

let runs = 0
/** Bytes of what outlived the quick garbage collections, after every so many runs. */
const old: number[] = []

@Entity()
class Row {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() run(): void {
    if (++runs % WINDOW === 0) old.push(spaceUsed('old_space'))
  }
}

describe('the garbage of jobs', () => {
  it('is freed by quick garbage collections, without a full one', async () => {
    const dataSource = inFile([Row])
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    try {
      await dataSource.manager.insert(
        Row,
        Array.from({ length: 100 }, () => ({})),
      )
      const hundred = Array.from({ length: 100 }, (_, index) => reference(Row, index + 1))
      const jobs = WINDOW * (WINDOWS + 1)
      for (let calls = 0; calls < jobs; calls += hundred.length) await backgrounded(hundred).run()
      await drain(dataSource, { concurrency: 50 })
      expect(runs).to.equal(jobs)
      // A full collection within a window only makes it smaller.
      const growths = old.slice(1).map((bytes, index) => bytes - (old[index] as number))
      const [, , median = 0] = growths.sort((a, b) => a - b)
      // Alone it is well below 1; in a process that has run thousands of other tests, up to 2.
      expect(median / MB, `MB more after ${WINDOW} jobs`).to.be.lessThan(3)
    } finally {
      await dataSource.destroy()
    }
  })
})

function spaceUsed(name: string): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === name)?.space_used_size ?? 0
}

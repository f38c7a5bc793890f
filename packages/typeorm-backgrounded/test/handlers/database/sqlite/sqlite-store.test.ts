import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, backgroundedEvents, createWorker, drain, withBackgrounded } from '../../../../src'
import { DatabaseHandler } from '../../../../src/handlers/database'
import { inFile } from '../../../support/data-sources'
import { until } from '../../../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

let runs: string[] = []
let gate: Promise<void> | undefined

@Entity()
class Order {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static async ship(name: string): Promise<void> {
    runs.push(name.slice(0, 10))
    await gate
  }
}

describe('the jobs of a worker in a SQLite database', () => {
  let dataSource: DataSource

  beforeEach(async () => {
    runs = []
    gate = undefined
    dataSource = inFile([Order])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
  })

  afterEach(() => dataSource.destroy())

  it('are acknowledged together, except those that another worker has taken over', async () => {
    let open = () => {}
    gate = new Promise((resolve) => (open = resolve))
    const lost: string[] = []
    const completed: string[] = []
    backgroundedEvents(dataSource).on('leaseLost', ({ job }) => lost.push(job.id))
    backgroundedEvents(dataSource).on('completed', ({ job }) => completed.push(job.id))
    const receipts = []
    for (let call = 0; call < 5; call++) receipts.push(await backgrounded(Order).ship(String(call)))
    const [first, second, ...others] = receipts.map(({ id }) => id)
    const worker = createWorker(dataSource, { concurrency: 5 })
    const finished = worker.run()
    await until(() => runs.length === 5)
    await dataSource.query('UPDATE backgrounded_jobs SET lease = lease + 1000 WHERE id = ?', [first])
    await dataSource.query('DELETE FROM backgrounded_jobs WHERE id = ?', [second])
    open()
    await until(() => completed.length + lost.length === 5)
    await worker.stop()
    await finished
    expect(lost).to.have.members([first, second])
    expect(completed).to.have.members(others)
    const left = (await dataSource.query('SELECT id FROM backgrounded_jobs')) as { id: string }[]
    expect(left.map(({ id }) => id)).to.deep.equal([first])
  })

  it('are removed even if plain SQL has given them an odd id', async () => {
    const ids = ["'a\"b'", "'nul' || char(0) || 'inside'", "x'6a6f62'"]
    for (const id of ids) {
      await dataSource.query(
        `INSERT INTO backgrounded_jobs (id, entity, method, args) VALUES (${id}, 'Order', 'ship', '["x"]')`,
      )
    }
    const { completed } = await drain(dataSource, { concurrency: 3 })
    expect(completed).to.equal(3)
    expect(await dataSource.query('SELECT id FROM backgrounded_jobs')).to.deep.equal([])
  })
})

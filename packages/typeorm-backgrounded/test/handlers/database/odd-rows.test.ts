import { expect } from 'chai'
import { DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, createWorker, withBackgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres } from '../../support/stores'
import { until } from '../../support/worker-process'

const ran: string[] = []

@Entity()
class Note {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static write(name: string): void {
    ran.push(name)
  }
}

for (const store of [postgres, mariaDb]) {
  describe(`Unexpected rows that plain SQL has written on ${store.name}`, () => {
    const errors: unknown[] = []
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
    })

    beforeEach(async () => {
      ran.length = errors.length = 0
      const created = await store.create([Note])
      drop = created.drop
      const logger = { debug() {}, info() {}, warn() {}, error: (fields: { err?: unknown }) => errors.push(fields.err) }
      dataSource = withBackgrounded(created.dataSource, { handler: new DatabaseHandler(), logger })
      await dataSource.initialize()
    })

    afterEach(async () => {
      await drop?.()
    })

    const LIMITS = [
      ['attempt', '2147483647'],
      ['run_at', '-9223372036854775808'],
      ['run_at', '9223372036854775807'],
      ['priority', '-2147483648'],
      ['priority', '2147483647'],
    ]
    for (const [column, value] of LIMITS) {
      it(`do not keep other jobs from running: ${column} ${value}`, async () => {
        await dataSource.query(
          `INSERT INTO backgrounded_jobs (entity, method, args, ${column}) VALUES ('Note', 'write', '["odd"]', ${value})`,
        )
        const worker = createWorker(dataSource, { pollInterval: 50 })
        const finished = worker.run()
        for (const name of ['1', '2', '3']) {
          await backgrounded(Note).write(name)
          await until(() => ran.includes(name))
        }
        await worker.stop()
        await finished
        expect(errors.filter((error) => !/attempt 2147483647/.test(String(error)))).to.deep.equal([])
      })
    }
  })
}

import { expect } from 'chai'
import { DataSource, Entity, PrimaryGeneratedColumn, type DataSourceOptions } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, withBackgrounded } from '../../../../src'
import { DatabaseHandler, type DatabaseHandlerOptions } from '../../../../src/handlers/database'
import { postgres } from '../../../support/stores'
import { silent } from '../../../support/program'
import { until } from '../../../support/worker-process'

const sent: string[] = []

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static send(name: string): void {
    sent.push(name)
  }
}

describe('An application behind a pooler', function () {
  this.timeout(60_000)
  let application: DataSource
  let workers: DataSource
  let drop: () => Promise<void>

  before(async function () {
    await postgres.require(this)
  })
  beforeEach(async () => {
    sent.length = 0
    ;({ dataSource: application, drop } = await postgres.create([Letter]))
    await attached(application, { listen: false })
    const options = { ...application.options, synchronize: false, entities: [Letter], subscribers: [] }
    workers = await attached(new DataSource(options as DataSourceOptions), {})
  })
  afterEach(async () => {
    await workers.destroy()
    await drop()
  })

  function attached(dataSource: DataSource, options: DatabaseHandlerOptions): Promise<DataSource> {
    return withBackgrounded(dataSource, { handler: new DatabaseHandler(options), logger: silent }).initialize()
  }

  it('wakes workers that are connected to the database itself, by calls inside and outside of transactions', async () => {
    const worker = createWorker(workers, { pollInterval: '10m' })
    const finished = worker.run()
    await worker.ready
    await backgrounded(Letter, { manager: application.manager }).send('outside')
    await until(() => sent.includes('outside'))
    await application.transaction((manager) => backgrounded(Letter, { manager }).send('inside'))
    await until(() => sent.includes('inside'))
    await worker.stop()
    await finished
    expect(sent).to.deep.equal(['outside', 'inside'])
  })
})

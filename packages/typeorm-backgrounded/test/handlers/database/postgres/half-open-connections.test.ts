import { DataSource, Entity, PrimaryGeneratedColumn, type DataSourceOptions } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, withBackgrounded } from '../../../../src'
import { DatabaseHandler } from '../../../../src/handlers/database'
import { silent } from '../../../support/program'
import { postgres } from '../../../support/stores'
import { ServerAddress } from '../../../support/server-address'
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

describe('Connections to Postgres that a firewall has forgotten without closing them', function () {
  this.timeout(60_000)
  let direct: DataSource
  let dataSource: DataSource
  let address: ServerAddress
  let drop: () => Promise<void>

  before(async function () {
    await postgres.require(this)
  })
  beforeEach(async () => {
    sent.length = 0
    ;({ dataSource: direct, drop } = await postgres.create([]))
    await direct.initialize()
    address = await ServerAddress.of((direct.options as unknown as { port: number }).port)
    const options = { ...direct.options, port: address.port, entities: [Letter], subscribers: [] }
    dataSource = new DataSource(options as unknown as DataSourceOptions)
    await withBackgrounded(dataSource, { handler: new DatabaseHandler({ lease: '1s' }), logger: silent }).initialize()
  })
  afterEach(async () => {
    await dataSource.destroy()
    address.close()
    await drop()
  })

  it('are noticed by an idle worker, which opens new ones and is notified again', async () => {
    const worker = createWorker(dataSource, { pollInterval: '10m' })
    const finished = worker.run()
    await worker.ready
    address.forgetAll()
    await direct.query(`INSERT INTO backgrounded_jobs (entity, method, args) VALUES ('Letter', 'send', '["by SQL"]')`)
    await until(() => sent.includes('by SQL'))
    await worker.stop()
    await finished
  })

  it('delay one call for some seconds, but no later call', async () => {
    const worker = createWorker(dataSource)
    const finished = worker.run()
    await backgrounded(Letter).send('before')
    await until(() => sent.length === 1)
    address.forgetAll()
    await backgrounded(Letter)
      .send('lost')
      .catch(() => {})
    await backgrounded(Letter).send('after')
    await until(() => sent.includes('after'))
    await worker.stop()
    await finished
  })
})

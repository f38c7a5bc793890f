import { expect } from 'chai'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { backgrounded } from '../../../src'
import { DatabaseHandler } from '../../../src/handlers/database'
import { programsOfSuite } from '../../support/database-processes'
import { administer, createPostgres } from '../../support/postgres'
import { PostgresServer, requirePostgresServer } from '../../support/postgres-server'
import { ServerAddress } from '../../support/server-address'
import type { CreateDatabase } from '../../support/stores'
import { until } from '../../support/worker-process'
import { Task } from '../fixtures/task'

describe('A Postgres that accepts no writes any more, and keeps its connections', function () {
  this.timeout(120_000)
  const start = programsOfSuite()
  const servers: PostgresServer[] = []
  const addresses: ServerAddress[] = []

  before(async function () {
    await requirePostgresServer(this)
  })
  afterEach(async () => {
    for (const address of addresses.splice(0)) address.close()
    await Promise.all(servers.splice(0).map((server) => server.end()))
  })

  async function newServer(): Promise<PostgresServer> {
    const server = await PostgresServer.start()
    servers.push(server)
    return server
  }

  it('is left by idle workers and by calls for the new primary', async () => {
    const [old, next] = await Promise.all([newServer(), newServer()])
    const address = await ServerAddress.of(old.address.port)
    addresses.push(address)
    const program = await start({ create: onBoth(old, next, address) }, { handler: { lease: '1s' } })
    const task = await program.save('it')
    const worker = program.worker()
    await worker.started()
    await backgrounded(task).run()
    await until(() => program.isDone())

    await setReadOnly(old)
    address.leadTo(next.address.port)
    const primary = await sourceOn(next, program.dataSource).initialize()
    await until(async () => (await primary.query('SELECT 1 FROM backgrounded_workers')).length === 1)
    await primary.query(`INSERT INTO backgrounded_jobs (entity, key, method) VALUES ('Task', '{"id":1}', 'run')`)
    await until(() => program.lines.length === 2)
    await backgrounded(task).run()
    await until(() => program.lines.length === 3)
    expect(count(worker.output, 'accepts no writes: it is a standby now')).to.equal(1)
    await primary.destroy()
  })

  it('makes a worker that starts then wait, which is logged once', async () => {
    const server = await newServer()
    const program = await start(server, { handler: { lease: '1s' } })
    const task = await program.save('it')
    const administrator = program.dataSource.createQueryRunner()
    await administrator.connect()
    // Sessions that begin now stay read-only for as long as they last.
    await administrator.query('ALTER ROLE postgres SET default_transaction_read_only = on')
    const worker = program.worker()
    await until(() => count(worker.output, 'cannot be reached') >= 3)
    const error = await backgrounded(task)
      .run()
      .catch((reason: unknown) => reason)
    expect(error).to.include({ code: 'STORE_UNAVAILABLE' })
    await administrator.query('ALTER ROLE postgres RESET default_transaction_read_only')
    await administrator.release()
    await worker.started()
    await backgrounded(task).run()
    await until(() => program.isDone())
    expect(count(worker.output, 'accepts no writes: it is a standby now')).to.equal(1)
  })
})

/** One database on two servers, as replication makes it, which the address leads to the first of. */
function onBoth(old: PostgresServer, next: PostgresServer, address: ServerAddress): CreateDatabase {
  return async (entities, options) => {
    const { dataSource } = await createPostgres(entities, options, old.address)
    const { database } = dataSource.options as { database: string }
    await administer(`CREATE DATABASE ${database}`, next.address)
    const copy = await sourceOn(next, dataSource).initialize()
    await copy.synchronize()
    await copy.manager.save(Object.assign(new Task(), { title: 'it' }))
    await copy.destroy()
    dataSource.setOptions({ port: address.port })
    const drop = () => (dataSource.isInitialized ? dataSource.destroy() : Promise.resolve())
    return { dataSource, drop }
  }
}

function sourceOn({ address }: PostgresServer, { options }: DataSource): DataSource {
  const { database } = options as { database: string }
  const entities = [Task, ...(new DatabaseHandler().entities('postgres') as [])]
  return new DataSource({ type: 'postgres', ...address, database, entities } as DataSourceOptions)
}

async function setReadOnly({ address }: PostgresServer): Promise<void> {
  await administer('ALTER SYSTEM SET default_transaction_read_only = on', address)
  await administer('SELECT pg_reload_conf()', address)
}

function count(text: string, part: string): number {
  return text.split(part).length - 1
}

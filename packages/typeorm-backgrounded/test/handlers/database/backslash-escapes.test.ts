import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, currentJob, drain, settled, withBackgrounded } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { administer } from '../../support/mariadb'
import { MariaDbServer, requireMariaDbServer } from '../../support/mariadb-server'
import { InMemoryHandler } from '../in-memory-handler'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const TEXT = `it's a "quoted" \\ back\\'slash, \n a line, \0 NUL and 👋 '); DROP TABLE backgrounded_jobs; --`
const heard: unknown[] = []

@Entity()
class Parrot {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() repeat(text: string): void {
    currentJob().progress({ text })
    heard.push(text)
  }
  @Backgrounded({ attempts: 1 }) refuse(text: string): void {
    throw new Error(text)
  }
}

describe('MariaDB with NO_BACKSLASH_ESCAPES', () => {
  let server: MariaDbServer
  let dataSource: DataSource

  before(async function () {
    this.timeout(60_000)
    await requireMariaDbServer(this)
    server = await MariaDbServer.start()
    await administer("SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_BACKSLASH_ESCAPES')", server.address)
  })
  after(() => server?.end())
  beforeEach(() => void heard.splice(0))
  afterEach(() => dataSource.destroy())

  async function open(handler: DatabaseHandler | InMemoryHandler): Promise<Parrot> {
    const created = await server.create([Parrot])
    dataSource = await withBackgrounded(created.dataSource, { handler, logger }).initialize()
    return dataSource.manager.save(new Parrot())
  }

  it('keeps arguments and errors unchanged, for calls inside a transaction and outside', async () => {
    const parrot = await open(new DatabaseHandler())
    await backgrounded(parrot).repeat(TEXT)
    await dataSource.transaction(async () => void (await backgrounded(parrot).repeat(TEXT)))
    await backgrounded(parrot).refuse(TEXT)
    await backgrounded(parrot).refuse('plain')
    expect(await drain(dataSource)).to.include({ completed: 2, failed: 2 })
    expect(heard).to.deep.equal([TEXT, TEXT])
    const errors = (await dataSource.manager.find(BackgroundedJob)).map(({ error }) => error ?? '').sort()
    expect(errors[0]).to.include(`it's a "quoted" \\ back\\'slash`)
  })

  it('keeps calls of a transaction unchanged in the outbox', async () => {
    class OutsideHandler extends InMemoryHandler {
      override readonly capabilities = { ...new InMemoryHandler().capabilities, inProcess: false }
    }
    const parrot = await open(new OutsideHandler())
    await dataSource.transaction(async () => void (await backgrounded(parrot).repeat(TEXT)))
    await settled(dataSource)
    expect(await drain(dataSource)).to.include({ completed: 1 })
    expect(heard).to.deep.equal([TEXT])
  })
})

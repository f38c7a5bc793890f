import { expect } from 'chai'
import { Column, Entity, PrimaryColumn, type DataSource } from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  BackgroundedEntity,
  currentJob,
  drain,
  settled,
  withBackgrounded,
  type Handler,
} from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { BackgroundedJob, DatabaseHandler } from '../../src/handlers/database'
import { BackgroundedOutboxRow } from '../../src/outbox/outbox-table'
import { asciiJson } from '../../src/job/ascii-json'
import { silent } from '../support/program'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'

const ran: unknown[] = []

@Entity()
@BackgroundedEntity({ name: 'Größe🦊' })
class Word {
  @PrimaryColumn({ type: 'varchar', length: 50 }) word!: string
  @Column({ default: '' }) note!: string
  @Backgrounded({ name: 'größer🦊', queue: 'öl🦊' })
  tell(...args: unknown[]): void {
    currentJob().progress({ done: 'ü🦊' })
    ran.push([this.word, ...args])
  }
  @Backgrounded({ attempts: 1 })
  fail(): void {
    throw new Error('größer 🦊 als 日本')
  }
}

const text = 'é 日本 🦊 \u2028 \u0000 \ud83e'
const args = [text, { [text]: new Map([[text, new Date(0)]]) }]

const bullPrefix = uniquePrefix()
const handlers: [string, () => Handler][] = [
  ['DatabaseHandler', () => new DatabaseHandler()],
  ['BullHandler', () => new BullHandler({ redis: redisUrl, prefix: bullPrefix })],
]
const stores: [TestStore, options?: { charset?: string }][] = [
  [sqliteFile],
  [postgres],
  [mariaDb],
  [mariaDb, { charset: 'utf8' }],
  [mariaDb, { charset: 'latin1' }],
]

for (const [store, options = {}] of stores) {
  for (const [name, make] of handlers) {
    describe(`text of a call with ${name} on ${store.name} ${Object.values(options).join('')}`, () => {
      let dataSource: DataSource
      let drop: () => Promise<void>
      // The application's own row goes over its connection, too, and mysql2 cuts characters to a byte for latin1.
      const word = options.charset === 'latin1' ? 'ü' : 'ü🦊'

      beforeEach(async function () {
        await store.require(this)
        if (name === 'BullHandler') await requireRedis(this)
        ran.length = 0
        ;({ dataSource, drop } = await store.create([Word], options))
        await withBackgrounded(dataSource, { handler: make(), logger: silent }).initialize()
      })
      afterEach(async () => {
        await drop?.()
        await removeKeys(bullPrefix)
      })

      it('reaches the method unchanged, from inside a transaction and from outside', async () => {
        const row = await dataSource.manager.save(Object.assign(new Word(), { word }))
        await dataSource.transaction((manager) => backgrounded(row, { manager }).tell(...args))
        await backgrounded(row).tell(...args)
        await settled(dataSource)
        await drain(dataSource)
        expect(ran).to.deep.equal([
          [word, ...args],
          [word, ...args],
        ])
      })

      it('is stored as ASCII', async () => {
        const row = await dataSource.manager.save(Object.assign(new Word(), { word }))
        await dataSource.transaction(async (manager) => {
          await backgrounded(row, { manager }).tell(...args)
          // Just before the commit everything is in the table.
          await manager.queryRunner?.startTransaction()
          await manager.queryRunner?.commitTransaction()
          const rows =
            name === 'DatabaseHandler' ? await manager.find(BackgroundedJob) : await manager.find(BackgroundedOutboxRow)
          expect(rows).to.have.length(1)
          const { args: given = '', key = '', types = '', payload = '' } = rows[0] as unknown as Record<string, string>

          expect([given, key, types, payload].join('')).to.match(/^[\0-\x7f]+$/)
        })
      })

      it('is kept in the error of a job that failed', async () => {
        const handler = make()
        withBackgrounded(dataSource, { handler, logger: silent })
        const row = await dataSource.manager.save(Object.assign(new Word(), { word }))
        await dataSource.transaction((manager) => backgrounded(row, { manager }).fail())
        await settled(dataSource)
        await drain(dataSource)
        const [job] = await (handler as DatabaseHandler).find({ state: 'failed', entity: 'Größe🦊' })
        expect(job?.error).to.include('größer 🦊 als 日本')
        expect(job?.envelope.key).to.deep.equal({ word })
      })
    })
  }
}

describe('ASCII JSON', () => {
  it('is JSON of the same value', () => {
    for (const value of [text, args, { a: 1 }, null, 5, '\u007f~', '"\\é"'])
      expect(JSON.parse(asciiJson(value))).to.deep.equal(JSON.parse(JSON.stringify(value)))

    expect(asciiJson(text)).to.match(/^[\0-\x7f]+$/)
  })
  it('is exactly the text of JSON.stringify if that is ASCII', () => {
    expect(asciiJson(['plain', { a: '\n"\\' }])).to.equal(JSON.stringify(['plain', { a: '\n"\\' }]))
  })
})

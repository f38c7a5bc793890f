import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, drain, reference, withBackgrounded } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory, type TestStore } from '../support/stores'

const ran: string[] = []

abstract class Noted {
  @Column() note!: string
  @Backgrounded() tell(..._rows: unknown[]): void {
    ran.push(this.note)
  }
}

@Entity()
class Slug extends Noted {
  @PrimaryColumn() slug!: string
}
@Entity()
class Seat extends Noted {
  @PrimaryColumn() row!: string
  @PrimaryColumn() number!: number
}
@Entity()
class Ticket extends Noted {
  @PrimaryColumn({ type: 'uuid' }) id!: string
}
@Entity()
class Level extends Noted {
  @PrimaryColumn({ type: 'simple-enum', enum: ['low', 'high'] }) level!: string
}
@Entity()
class Price extends Noted {
  @PrimaryColumn({ type: 'decimal', precision: 10, scale: 2 }) amount!: string
}
@Entity()
class Day extends Noted {
  @PrimaryColumn({ type: 'date' }) day!: string
}
@Entity()
class Slot extends Noted {
  @PrimaryColumn({ type: 'time' }) at!: string
}
@Entity()
class Arrival extends Noted {
  @PrimaryColumn({ type: Date }) at!: Date
}
@Entity()
class Visit extends Noted {
  @PrimaryGeneratedColumn() id!: number
}

const uuid = 'f196a1b2-c3d4-7000-8000-00000000000a'
const rows = () => [
  Object.assign(new Slug(), { slug: 'alice', note: 'alice' }),
  Object.assign(new Slug(), { slug: '1', note: 'one' }),
  Object.assign(new Seat(), { row: 'a', number: 1, note: 'a seat' }),
  Object.assign(new Ticket(), { id: uuid, note: 'a ticket' }),
  Object.assign(new Level(), { level: 'low', note: 'low' }),
  Object.assign(new Price(), { amount: '1.50', note: 'a price' }),
  Object.assign(new Day(), { day: '2026-01-02', note: 'a day' }),
  Object.assign(new Slot(), { at: '00:00:00', note: 'midnight' }),
  Object.assign(new Visit(), { note: 'a visit' }),
]
const entities = [Slug, Seat, Ticket, Level, Price, Day, Slot, Visit]

/** What some database would take for a key of a row above, and what names none of them. */
const others: [entity: new () => Noted, ...keys: object[]][] = [
  [
    Slug,
    { slug: 0 },
    { slug: false },
    { slug: true },
    { slug: 1.5 },
    { slug: '01' },
    { slug: 'alice ?' },
    { slug: '' },
  ],
  [Slug, { slug: null }, { slug: ['alice'] }, { slug: { a: 'alice' } }, { slug: 'alic\u00e9' }],
  [Seat, { row: 0, number: 1 }, { row: false, number: 1 }, { row: 'a', number: true }, { row: 'a', number: '1a' }],
  [Seat, { row: 'a' }, { row: 'a', number: 1, more: 1 }, { row: 'a', number: 'x' }, { row: 'a', number: 1.2 }],
  [Ticket, { id: 0 }, { id: true }, { id: '' }, { id: 'f' }, { id: randomUUID() }],
  [Level, { level: 1 }, { level: 0 }, { level: true }, { level: '1' }],
  [Price, { amount: true }, { amount: '1.5x' }, { amount: 'x' }, { amount: '' }, { amount: 1.51 }],
  [Day, { day: 20260102 }, { day: 0 }, { day: true }, { day: '2026' }, { day: '20260102' }],
  [Slot, { at: '00:00:60' }, { at: '00:60:00' }, { at: '00:99' }, { at: '24:00:00' }, { at: 0 }, { at: '' }],
  [Visit, { id: true }, { id: '1a' }, { id: ' 1' }, { id: '1e0' }, { id: 1.2 }, { id: '' }, { id: [1] }],
]

/** Other ways to write the keys of the rows above. */
const same: [entity: new () => Noted, note: string, ...keys: object[]][] = [
  [Slug, 'one', { slug: 1 }],
  [Price, 'a price', { amount: '1.5' }, { amount: 1.5 }, { amount: '01.500' }],
  [Day, 'a day', { day: '2026-01-02' }],
  [Visit, 'a visit', { id: '1' }, { id: '01' }],
]

const stores: TestStore[] = [
  sqliteInMemory,
  postgres,
  mariaDb,
  {
    ...mariaDb,
    name: "MariaDB as type 'mysql'",
    create: (entities, options) => mariaDb.create(entities, { ...options, type: 'mysql' }),
  },
]

for (const store of stores) {
  describe(`a stored key on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>
    const handler = new FakeHandler()

    before(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create(entities))
      await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
      await dataSource.manager.save(rows())
    })
    after(() => drop?.())
    beforeEach(() => (ran.length = 0))

    /** As anybody may write a job. */
    async function runOn(entity: new () => Noted, keys: readonly object[], args: unknown[] = [], types?: object) {
      const now = new Date().toISOString()
      const common = { v: 1, source: 'default', method: 'tell', queue: 'default', priority: 0, meta: {} }
      const times = { enqueuedAt: now, runAt: now }
      const jobs = keys.map((key) => ({ ...common, ...times, id: randomUUID(), entity: entity.name, key, args, types }))
      await handler.enqueue(jobs as never)
      return drain(dataSource, { concurrency: 10 })
    }

    for (const [entity, ...keys] of others) {
      for (const key of keys) {
        it(`finds no row with ${entity.name} ${JSON.stringify(key)}`, async () => {
          await runOn(entity, [key])
          expect(ran).to.deep.equal([])
        })
      }
      it(`finds no row with such keys of ${entity.name} beside a correct one`, async () => {
        const [right] = rows().filter((row) => row.constructor === entity)
        const key = dataSource.getMetadata(entity).getEntityIdMap(right as object) ?? { id: 1 }
        await runOn(entity, [...keys, key, ...keys])
        expect(ran).to.deep.equal([right?.note])
      })
    }

    for (const [entity, note, ...keys] of same) {
      it(`finds the row also as ${entity.name} ${keys.map((key) => JSON.stringify(key)).join(', ')}`, async () => {
        const counts = await runOn(entity, keys)
        expect(ran, JSON.stringify(counts)).to.deep.equal(keys.map(() => note))
      })
    }

    it('finds no row among the arguments', async () => {
      const types = { '/0': 'entity' }
      await runOn(Slug, [{ slug: 'alice' }], [{ entity: 'Slug', key: { slug: 0 } }], types)
      expect(ran).to.deep.equal([])
      await runOn(Slug, [{ slug: 'alice' }], [{ entity: 'Slug', key: { slug: 'alice' } }], types)
      expect(ran).to.deep.equal(['alice'])
    })

    it('is of the column’s type from the call on', async () => {
      await backgrounded(reference(Slug, 1)).tell()
      expect(handler.jobs.at(-1)?.key).to.deep.equal({ slug: '1' })
      await backgrounded(reference(Slug, 0)).tell()
      await drain(dataSource)
      expect(ran).to.deep.equal(['one'])
      const wrong: [new () => Noted, unknown][] = [
        [Slug, true],
        [Slug, new Date()],
        [Visit, true],
        [Visit, '1a'],
        [Visit, 1.5],
        [Day, 20260102],
        [Price, 'x'],
        [Seat, { row: true, number: 1 }],
      ]
      for (const [entity, key] of wrong) {
        const error: unknown = await backgrounded(reference(entity, key as object))
          .tell()
          .catch((each: unknown) => each)
        expect(error, `${entity.name} ${String(key)}`).to.have.property('code', 'INVALID_KEY')
      }
    })
  })
}

for (const store of [postgres, mariaDb]) {
  describe(`a time key on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create([Slot]))
      await withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent }).initialize()
      await dataSource.manager.save(Slot, { at: '03:04:00', note: 'early' })
    })
    after(() => drop?.())

    for (const written of ['03:04', '3:04', '03:04:00.000']) {
      it(`names the row also as ${written}`, async () => {
        ran.length = 0
        await backgrounded(reference(Slot, written)).tell()
        await drain(dataSource)
        expect(ran).to.deep.equal(['early'])
      })
    }
    it('that does not exist is refused at the call', async () => {
      for (const written of ['00:00:60', '00:60:00', '00:99']) {
        const error: unknown = await backgrounded(reference(Slot, written))
          .tell()
          .catch((each: unknown) => each)
        expect(error).to.have.property('code', 'INVALID_KEY')
      }
    })
  })
}

for (const store of stores.slice(0, 3)) {
  describe(`a key that is a point in time on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create([Arrival]))
      await withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent }).initialize()
    })
    after(() => drop?.())

    it('may be a text with microseconds, of which TypeORM writes the milliseconds', async () => {
      ran.length = 0
      const at = '2026-01-02 03:04:05.123456'
      const row = await dataSource.manager.save(Object.assign(new Arrival(), { at, note: 'there' }))
      await backgrounded(row).tell()
      await backgrounded(reference(Arrival, at)).tell()
      await drain(dataSource)
      expect(ran).to.deep.equal(['there', 'there'])
    })
    it('is refused at the call in a year that a job cannot name', async () => {
      for (const year of [-44, 12_024]) {
        const at = new Date(0)
        at.setUTCFullYear(year)
        const error: unknown = await backgrounded(reference(Arrival, at))
          .tell()
          .catch((each: unknown) => each)
        expect(error).to.have.property('code', 'INVALID_KEY')
      }
    })
  })
}

describe('a key that MariaDB compares as zero', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>
  const handler = new FakeHandler()

  before(async function () {
    await mariaDb.require(this)
    ;({ dataSource, drop } = await mariaDb.create([Slot, Day, Arrival]))
    await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
    await dataSource.query("INSERT INTO slot VALUES ('longest', '838:59:59'), ('midnight', '00:00:00')")
    await dataSource.query("INSERT INTO day VALUES ('no day', '0000-00-00')")
    await dataSource.query("INSERT INTO arrival VALUES ('never', '0000-00-00 00:00:00')")
  })
  after(() => drop?.())

  const keys: [entity: new () => Noted, ...keys: object[]][] = [
    [Slot, { at: '00:00:60' }, { at: '00:60:00' }, { at: '00:99' }, { at: '900:00:00' }],
    [Day, { day: '2026-02-30' }, { day: '2026-13-01' }, { day: '2026-00-01' }, { day: '2025-02-29T00:00:00Z' }],
    [Arrival, { at: '2026-02-30 00:00:00' }, { at: '2026-01-01 24:00:00' }],
  ]
  for (const [entity, ...written] of keys) {
    for (const key of written) {
      it(`names no row: ${entity.name} ${JSON.stringify(key)}`, async () => {
        ran.length = 0
        const job = { v: 1, id: randomUUID(), source: 'default', entity: entity.name, key, method: 'tell', args: [] }
        const now = new Date().toISOString()
        const rest = { queue: 'default', priority: 0, meta: {}, enqueuedAt: now, runAt: now }
        await handler.enqueue([{ ...job, ...rest }] as never)
        await drain(dataSource)
        expect(ran).to.deep.equal([])
      })
    }
  }
})

describe('a text key on MariaDB', () => {
  let dataSource: DataSource
  let drop: () => Promise<void>

  before(async function () {
    await mariaDb.require(this)
    ;({ dataSource, drop } = await mariaDb.create([Slug]))
    await withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent }).initialize()
    await dataSource.manager.save(Slug, [
      { slug: 'Alice', note: 'alice' },
      { slug: '🍺', note: 'beer' },
    ])
  })
  after(() => drop?.())
  beforeEach(() => (ran.length = 0))

  async function runOn(slug: string): Promise<readonly string[]> {
    await backgrounded(reference(Slug, slug)).tell()
    await drain(dataSource)
    return ran
  }

  it('finds the row that differs in case, as findOneBy() does, because there can be no other row', async () => {
    expect(await runOn('ALICE ')).to.deep.equal(['alice'])
  })
  it('does not find a row with another letter that the collation treats as equal', async () => {
    expect(await dataSource.manager.findOneBy(Slug, { slug: 'Alicé' })).to.include({ note: 'alice' })
    expect(await runOn('Alicé')).to.deep.equal([])
  })
  it('does not find a row with another emoji that the collation treats as equal', async () => {
    expect(await dataSource.manager.findOneBy(Slug, { slug: '🍣' })).to.include({ note: 'beer' })
    expect(await runOn('🍣')).to.deep.equal([])
  })
})

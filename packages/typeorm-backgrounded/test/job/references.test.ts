import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import {
  ChildEntity,
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  type DataSource,
  type Relation,
} from 'typeorm'
import {
  Backgrounded,
  backgrounded,
  backgroundedEvents,
  drain,
  reference,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
  type JobEnvelope,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { BackgroundedJob } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile, inMemory } from '../support/data-sources'
import { createPostgres, requirePostgres } from '../support/postgres'

const ran: string[] = []

abstract class Noted {
  @Column({ default: '' }) note!: string
  @Backgrounded() tell(): void {
    ran.push(`${this.constructor.name} ${this.note}`)
  }
  /** Says the notes of the rows it is given. */
  @Backgrounded() tellOf(...rows: Noted[]): void {
    ran.push(rows.map((row) => `${row.constructor.name} ${row.note}`).join())
  }
}

class Code {
  constructor(readonly text: string) {}
}
const code = {
  to: (value?: Code) => value?.text,
  from: (text?: string | Code) => (typeof text === 'string' ? new Code(text) : text),
}
const day = {
  to: (value?: Date) => value?.toISOString().slice(0, 10),
  from: (text?: string | Date) => (typeof text === 'string' ? new Date(text) : text),
}
const native = {
  to: (value?: bigint) => value?.toString(),
  from: (text?: string | number | bigint) => (text === undefined ? undefined : BigInt(text)),
}

@Entity()
class Numbered extends Noted {
  @PrimaryGeneratedColumn() id!: number
}
@Entity()
class Big extends Noted {
  @PrimaryColumn({ type: 'bigint' }) id!: string
}
@Entity()
class NativeBig extends Noted {
  @PrimaryColumn({ type: 'bigint', transformer: native }) id!: bigint
}
@Entity()
class Unique extends Noted {
  @PrimaryGeneratedColumn('uuid') id!: string
}
@Entity()
class Named extends Noted {
  @PrimaryColumn() name!: string
}
@Entity()
class Dated extends Noted {
  @PrimaryColumn({ type: Date }) at!: Date
}
@Entity()
class Daily extends Noted {
  @PrimaryColumn({ type: 'varchar', transformer: day }) day!: Date
}
@Entity()
class Paired extends Noted {
  @PrimaryColumn() a!: number
  @PrimaryColumn() b!: string
}
@Entity()
class PairedCode extends Noted {
  @PrimaryColumn() shop!: number
  @PrimaryColumn({ type: 'varchar', transformer: code }) code!: Code
}
class Point {
  @PrimaryColumn() x!: number
  @PrimaryColumn() y!: number
}
@Entity()
class Placed extends Noted {
  @Column(() => Point) at!: Point
}
@Entity()
class Flagged extends Noted {
  @PrimaryColumn({ type: Boolean }) on!: boolean
}
@Entity()
class Profile extends Noted {
  @PrimaryColumn() ownerId!: number
  @ManyToOne(() => Numbered)
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Numbered>
}
@Entity()
class Coded extends Noted {
  @PrimaryColumn({ type: 'varchar', transformer: code }) code!: Code
}
@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Content extends Noted {
  @PrimaryGeneratedColumn() id!: number
}
@ChildEntity()
class Article extends Content {
  @Column({ nullable: true, type: 'varchar' }) headline!: string | null
  override tell(): void {
    ran.push(`article ${this.headline}`)
  }
}
@ChildEntity()
class Video extends Content {}
@Entity()
class Hashed extends Noted {
  @PrimaryColumn({ type: 'blob' }) hash!: Buffer
}
@Entity('hashed')
class PostgresHashed extends Noted {
  @PrimaryColumn({ type: 'bytea' }) hash!: Buffer
}
@Entity()
class Stamped extends Noted {
  @PrimaryColumn({ type: 'timestamp with time zone', precision: 3 }) at!: Date
}

const common = [
  Numbered,
  Big,
  NativeBig,
  Unique,
  Named,
  Dated,
  Daily,
  Paired,
  PairedCode,
  Placed,
  Flagged,
  Profile,
  Coded,
  Content,
  Article,
  Video,
]
const sqliteEntities = [...common, Hashed]
const postgresEntities = [...common, PostgresHashed, Stamped]

interface Shape {
  title: string
  /** Saves a row. */
  make: (dataSource: DataSource) => Promise<Noted>
  /** What `reference()` may be given for it. */
  keys: (row: never) => unknown[]
  /** Through this class, default the row's own. */
  through?: unknown
  says?: string
  only?: 'postgres' | 'sqlite'
}

const make =
  <T extends Noted>(Class: new () => T, fields: Partial<T> = {}) =>
  (dataSource: DataSource) =>
    dataSource.manager.save(Object.assign(new Class(), { note: 'here' }, fields))

const at = new Date('2026-01-02T03:04:05.678Z')
const uuid = '0190b8e5-5f3a-7cc2-8a1b-0123456789ab'

const shapes: Shape[] = [
  {
    title: 'a number made by the database',
    make: make(Numbered),
    keys: ({ id }: Numbered) => [id, { id }, String(id), BigInt(id)],
  },
  {
    title: 'a bigint column, given as text or as a native bigint',
    make: make(Big, { id: '4503599627370497' }),
    keys: ({ id }: Big) => [id, BigInt(id), Number(id), { id }, { id: BigInt(id) }],
  },
  {
    title: 'a bigint that no number can hold',
    make: make(Big, { id: '9007199254740993' }),
    keys: ({ id }: Big) => [id, BigInt(id)],
    only: 'postgres',
  },
  {
    title: 'the smallest bigint there is',
    make: make(Big, { id: '-9223372036854775808' }),
    keys: ({ id }: Big) => [id, BigInt(id)],
    only: 'postgres',
  },
  {
    title: 'a bigint that a transformer makes a native one',
    make: make(NativeBig, { id: 4503599627370498n }),
    keys: ({ id }: NativeBig) => [id, { id }],
  },
  { title: 'a uuid made by the database', make: make(Unique), keys: ({ id }: Unique) => [id, { id }] },
  {
    title: 'a uuid in another writing',
    make: make(Unique, { id: uuid }),
    keys: ({ id }: Unique) => [id.toUpperCase()],
    only: 'postgres',
  },
  {
    title: 'a string with quotes, accents and an emoji',
    make: make(Named, { name: 'O\'Hara "é" \u{1F600} %_\\' }),
    keys: ({ name }: Named) => [name, { name }],
  },
  { title: 'an empty string', make: make(Named, { name: '' }), keys: ({ name }: Named) => [name] },
  {
    title: 'a string named like a member of every object',
    make: make(Named, { name: '__proto__' }),
    keys: ({ name }: Named) => [name],
  },
  { title: 'a Date with milliseconds', make: make(Dated, { at }), keys: ({ at }: Dated) => [at, { at }] },
  {
    title: 'a time with a time zone',
    make: make(Stamped, { at }),
    keys: ({ at }: Stamped) => [at, { at }],
    only: 'postgres',
  },
  {
    title: 'a Date that a transformer makes a text',
    make: make(Daily, { day: new Date('2026-01-02') }),
    keys: ({ day }: Daily) => [day, { day }],
  },
  {
    title: 'several columns',
    make: make(Paired, { a: 1, b: 'x' }),
    keys: ({ a, b }: Paired) => [
      { a, b },
      { b, a },
    ],
  },
  {
    title: 'several columns, one of them an object by its transformer',
    make: make(PairedCode, { shop: 1, code: new Code('c') }),
    keys: ({ shop, code }: PairedCode) => [{ shop, code }],
  },
  {
    title: 'embedded columns',
    make: make(Placed, { at: Object.assign(new Point(), { x: 1, y: 2 }) }),
    keys: ({ at }: Placed) => [{ at }, { at: { x: 1, y: 2 } }],
  },
  { title: 'false', make: make(Flagged, { on: false }), keys: ({ on }: Flagged) => [on, { on }] },
  {
    title: "another row's key, by its column",
    make: async (dataSource) => {
      const { id } = await dataSource.manager.save(new Numbered())
      return make(Profile, { ownerId: id })(dataSource)
    },
    keys: ({ ownerId }: Profile) => [ownerId, { ownerId }],
  },
  {
    title: "another row's key, by the relation alone",
    make: async (dataSource) => {
      const owner = await dataSource.manager.save(new Numbered())
      return dataSource.manager.save(Object.assign(new Profile(), { note: 'here', owner }))
    },
    keys: ({ owner }: Profile) => [owner.id, { owner }, { owner: { id: owner.id } }],
  },
  {
    title: 'an object by its transformer',
    make: make(Coded, { code: new Code('c') }),
    keys: ({ code }: Coded) => [code, { code }],
  },
  {
    title: 'a child of a single table, through its own class',
    make: make(Article, { headline: 'news' }),
    keys: ({ id }: Article) => [id, { id }],
    says: 'article news',
  },
  {
    title: 'a child of a single table, through the base class',
    make: make(Article, { headline: 'news' }),
    keys: ({ id }: Article) => [id],
    through: Content,
    says: 'article news',
  },
  {
    title: 'a child that inherits the method of the base class',
    make: make(Video),
    keys: ({ id }: Video) => [id],
    says: 'Video here',
  },
  {
    title: 'a blob',
    make: make(Hashed, { hash: Buffer.from([0, 1, 254, 255]) }),
    keys: ({ hash }: Hashed) => [hash, { hash }],
    only: 'sqlite',
  },
  {
    title: 'bytes',
    make: make(PostgresHashed, { hash: Buffer.from([0, 1, 254, 255]) }),
    keys: ({ hash }: PostgresHashed) => [hash, { hash }],
    only: 'postgres',
  },
]

const stores: {
  name: string
  database: 'sqlite' | 'postgres'
  handler: () => Handler
  open: () => Promise<{ dataSource: DataSource; drop: () => Promise<void> }>
}[] = [
  {
    name: 'SynchronousHandler, SQLite',
    database: 'sqlite',
    handler: () => new SynchronousHandler(),
    open: () => sqlite(inMemory(sqliteEntities)),
  },
  {
    name: 'DatabaseHandler, SQLite',
    database: 'sqlite',
    handler: () => new DatabaseHandler(),
    open: () => sqlite(inFile(sqliteEntities)),
  },
  {
    name: 'SynchronousHandler, Postgres',
    database: 'postgres',
    handler: () => new SynchronousHandler(),
    open: () => createPostgres(postgresEntities),
  },
]

function sqlite(dataSource: DataSource): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
  return Promise.resolve({ dataSource, drop: () => dataSource.destroy() })
}

for (const { name, database, handler, open } of stores) {
  describe(`a job finds its row: ${name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      if (database === 'postgres') await requirePostgres(this)
      ;({ dataSource, drop } = await open())
      await withBackgrounded(dataSource, { handler: handler(), logger: silent }).initialize()
    })
    beforeEach(async () => {
      ran.length = 0
      for (const Class of [Profile, Content, ...common.filter((each) => each !== Profile && each !== Content)])
        await dataSource.manager.createQueryBuilder().delete().from(Class).execute()
      await dataSource.manager.save(Object.assign(new Numbered(), { note: 'decoy' }))
    })
    after(() => drop?.())

    for (const { title, make, keys, through, says, only } of shapes) {
      if (only && only !== database) continue

      it(`whose key is ${title}, from the entity`, async () => {
        const row = await make(dataSource)
        await backgrounded(row).tell()
        await drain(dataSource)
        expect(ran).to.deep.equal([says ?? `${row.constructor.name} here`])
      })

      it(`whose key is ${title}, from a loaded entity among the arguments`, async () => {
        const row = await make(dataSource)
        const [loaded] = await dataSource.manager.find(row.constructor as typeof Numbered)
        const teller = await dataSource.manager.save(Object.assign(new Numbered(), { note: 'teller' }))
        await backgrounded(teller).tellOf(row, loaded as Noted)
        await drain(dataSource)
        const own = `${row.constructor.name} here`
        expect(ran).to.have.length(1)
        expect(ran[0]?.split(',')[0]).to.equal(own)
      })

      it(`whose key is ${title}, from references`, async () => {
        const row = await make(dataSource)
        const target = (through ?? row.constructor) as typeof Numbered
        const references = keys(row as never).map((key) => reference(target, key as object))
        for (const each of references) await backgrounded(each).tell()
        await backgrounded(references).tell()
        await drain(dataSource)
        expect(ran).to.deep.equal(Array(references.length * 2).fill(says ?? `${row.constructor.name} here`))
      })
    }

    it('also if it belongs to another child class, and calls the method of that class', async () => {
      const video = await make(Video)(dataSource)
      await backgrounded(reference(Article, (video as Video).id)).tell()
      await drain(dataSource)
      expect(ran).to.have.length(1)
      expect(ran[0]).not.to.match(/^article/)
    })

    it('and refuses an entity that has no key yet', async () => {
      for (const row of [new Numbered(), Object.assign(new Paired(), { a: 1 }), new Placed(), new Profile()]) {
        const error = await backgrounded(row)
          .tell()
          .catch((each: unknown) => each)
        expect(error, row.constructor.name).to.have.property('code', 'MISSING_KEY')
        expect((error as Error).message).to.match(/save it first/)
      }
    })

    it('and refuses an argument that has no key yet', async () => {
      const row = await make(Numbered)(dataSource)
      const error = await backgrounded(row)
        .tellOf(new Numbered())
        .catch((each: unknown) => each)
      expect(error).to.have.property('code', 'MISSING_KEY')
    })

    const unfit: [string, unknown, unknown][] = [
      ['half of a composite key', Paired, { a: 1 }],
      ['a lone value for a composite key', Paired, 1],
      ['an object without the key', Numbered, { name: 'x' }],
      ['nothing', Numbered, undefined],
      ['null', Numbered, null],
      ['NaN', Numbered, NaN],
      ['an invalid Date', Dated, new Date(NaN)],
      ['a list', Numbered, [1]],
    ]
    for (const [title, Class, key] of unfit) {
      it(`and refuses a reference with ${title} at the call`, async () => {
        const error = await backgrounded(reference(Class as typeof Numbered, key as object))
          .tell()
          .catch((each: unknown) => each)
        expect(error)
          .to.have.property('code')
          .that.matches(/^(INVALID|MISSING)_KEY$/)
      })
    }
  })
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A job as a forger, another language or an old version may have written it. */
function forged(entity: string, key: unknown): JobEnvelope {
  const now = new Date().toISOString()
  return {
    v: 1,
    id: randomUUID(),
    source: 'default',
    entity,
    key: key as never,
    method: 'tell',
    args: [],
    queue: 'default',
    priority: 0,
    enqueuedAt: now,
    runAt: now,
    meta: {},
  }
}

const wrongKeys: [title: string, entity: string, key: unknown, only?: 'postgres' | 'sqlite'][] = [
  ['letters for a number', 'Numbered', { id: 'abc' }],
  ['a number with letters', 'Numbered', { id: '1abc' }],
  ['SQL for a number', 'Numbered', { id: '1 OR 1=1' }],
  ['a fraction for a number', 'Numbered', { id: 1.5 }],
  ['a number out of every range', 'Numbered', { id: '99999999999999999999' }],
  ['a number in scientific notation', 'Numbered', { id: 1e30 }],
  ['an empty text for a number', 'Numbered', { id: '' }],
  ['true for a number', 'Numbered', { id: true }],
  ['null for a number', 'Numbered', { id: null }],
  ['a list for a number', 'Numbered', { id: [1] }],
  ['an operator for a number', 'Numbered', { id: { '@instanceof': 'FindOperator', _type: 'not', _value: 1 } }],
  ['no part at all', 'Numbered', {}],
  ['an extra part', 'Numbered', { id: 1, name: 'x' }],
  ['a column that is no key', 'Numbered', { note: 'decoy' }],
  ['a member of every object', 'Numbered', JSON.parse('{"__proto__": {"id": 1}}')],
  ['a missing part', 'Paired', { a: 1 }],
  ['a null part', 'Paired', { a: 1, b: null }],
  ['an embedded part that is nested', 'Placed', { at: { x: 1, y: 2 } }],
  ['no time', 'Dated', { at: 'not a time' }],
  ['a number for a time', 'Dated', { at: 5 }],
  ['letters for a bigint', 'Big', { id: 'abc' }],
  ['a bigint out of range', 'Big', { id: '9999999999999999999' }, 'postgres'],
  ['a number that only a bigint holds', 'Numbered', { id: 3_000_000_000 }, 'postgres'],
  ['no uuid', 'Unique', { id: 'not-a-uuid' }, 'postgres'],
  ['a NUL in a text', 'Named', { name: 'a\0b' }, 'postgres'],
]

describe('a stored key that does not fit', () => {
  describe('ends as failed, and its neighbours run: DatabaseHandler, SQLite', () => {
    let dataSource: DataSource

    before(async () => {
      dataSource = inFile(sqliteEntities)
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
      await dataSource.manager.save(Object.assign(new Numbered(), { id: 1, note: 'neighbour' }))
    })
    beforeEach(() => (ran.length = 0))
    after(() => dataSource.destroy())

    for (const [title, entity, key, only] of wrongKeys) {
      if (only === 'postgres') continue
      it(title, async () => {
        const neighbour = await dataSource.manager.findOneByOrFail(Numbered, { id: 1 })
        await backgrounded(neighbour).tell()
        const text = JSON.stringify(key)
        await dataSource.query('INSERT INTO backgrounded_jobs (id, entity, key, method) VALUES (?, ?, ?, ?)', [
          title,
          entity,
          text,
          'tell',
        ])
        await backgrounded(neighbour).tell()
        const counts = await drain(dataSource, { concurrency: 10 })
        expect(counts).to.deep.equal({ completed: 2, retried: 0, failed: 1, discarded: 0, released: 0 })
        const row = await dataSource.manager.findOneByOrFail(BackgroundedJob, { id: title })
        expect(row.state).to.equal('failed')
        expect(row.error).to.match(/^InvalidKeyError: /)
        expect(row.attempt).to.equal(1)
        expect(ran).to.deep.equal(['Numbered neighbour', 'Numbered neighbour'])
      })
    }

    it('two rows that show the same moment', async () => {
      await dataSource.query(
        `INSERT INTO dated (at, note) VALUES ('2026-01-02 03:04:05', 'a'), ('2026-01-02 03:04:05.000', 'b')`,
      )
      const { id } = await backgrounded(reference(Dated, new Date('2026-01-02T03:04:05Z'))).tell()
      expect(await drain(dataSource)).to.include({ completed: 0, failed: 1 })
      const { error } = await dataSource.manager.findOneByOrFail(BackgroundedJob, { id })
      expect(error).to.match(/^InvalidKeyError: .* fits 2 rows of Dated/)
    })
  })

  describe('ends as failed, and its neighbours run: FakeHandler, Postgres', () => {
    let dataSource: DataSource
    let drop: () => Promise<void>
    const handler = new FakeHandler()

    before(async function () {
      await requirePostgres(this)
      ;({ dataSource, drop } = await createPostgres(postgresEntities))
      await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
      for (const [number, note] of ['one', 'two'].entries()) {
        await dataSource.manager.save([
          Object.assign(new Numbered(), { note }),
          Object.assign(new Big(), { id: String(number), note }),
          Object.assign(new Unique(), { note }),
          Object.assign(new Named(), { name: note, note }),
          Object.assign(new Dated(), { at: new Date(number), note }),
          Object.assign(new Paired(), { a: 1, b: note, note }),
          Object.assign(new Placed(), { at: { x: 1, y: number }, note }),
        ])
      }
    })
    beforeEach(() => {
      ran.length = 0
      handler.clear()
    })
    after(() => drop?.())

    for (const [title, entity, key] of wrongKeys) {
      it(title, async () => {
        const rows = await dataSource.manager.find(entity as unknown as typeof Numbered, { order: { note: 'ASC' } })
        await backgrounded(rows[0] as Noted).tell()
        const bad = forged(entity, key)
        await handler.enqueue([bad])
        await backgrounded(rows[1] as Noted).tell()
        const errors: unknown[] = []
        backgroundedEvents(dataSource).on('failed', ({ error }) => errors.push(error))
        const counts = await drain(dataSource, { concurrency: 10 })
        backgroundedEvents(dataSource).removeAllListeners()
        expect(counts).to.deep.equal({ completed: 2, retried: 0, failed: 1, discarded: 0, released: 0 })
        expect(errors).to.have.length(1)
        expect(errors[0]).to.have.property('code', 'INVALID_KEY')
        expect([...ran].sort()).to.deep.equal([`${entity} one`, `${entity} two`])
      })
    }

    it('several in one batch of forty', async () => {
      const rows = await dataSource.manager.find(Unique)
      const good = Array.from({ length: 20 }, (_, index) => rows[index % 2] as Unique)
      const bad = Array.from({ length: 20 }, () => forged('Unique', { id: randomUUID().replace('-', 'z') }))
      const mixed = bad.flatMap((each, index) => [each, forged('Unique', { id: (good[index] as Unique).id })])
      await handler.enqueue(mixed)
      const counts = await drain(dataSource, { concurrency: 40 })
      expect(counts).to.include({ completed: 20, failed: 20 })
    })

    it('says which argument has the bad key', async () => {
      const [row] = await dataSource.manager.find(Numbered)
      const job = forged('Numbered', { id: (row as Numbered).id })
      await handler.enqueue([
        {
          ...job,
          method: 'tellOf',
          args: [{ entity: 'Numbered', key: { id: 3_000_000_000 } }],
          types: { '/0': 'entity' },
        },
      ])
      expect(await drain(dataSource)).to.include({ failed: 1 })
      expect(handler.ended[0]?.error).to.match(/^InvalidKeyError: .*3000000000/)
    })
  })
})

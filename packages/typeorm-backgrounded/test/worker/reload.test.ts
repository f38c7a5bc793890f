import { expect } from 'chai'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import {
  Column,
  DataSource,
  DefaultNamingStrategy,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type DataSourceOptions,
  type Logger as TypeOrmLogger,
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
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { FakeHandler } from '../../src/testing'
import { inFile, inMemory, temporaryFile } from '../support/data-sources'
import { createPostgres, requirePostgres } from '../support/postgres'

const seen: { row: Author | Tag; note: unknown }[] = []
const silent = { debug() {}, info() {}, warn() {}, error() {} }

@Entity()
class Tag {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @Backgrounded() look(...notes: unknown[]): void {
    seen.push({ row: this, note: notes[0] })
  }
}

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => Tag, { eager: true, nullable: true }) home!: Relation<Tag> | null
  @ManyToMany(() => Tag) @JoinTable() tags!: Relation<Tag>[]
  @OneToMany(() => Book, (book) => book.author) books!: Relation<Book>[]

  @Backgrounded() look(...notes: unknown[]): void {
    seen.push({ row: this, note: notes[0] })
  }
  @Backgrounded({ relations: ['tags'] }) lookWithTags(): void {
    seen.push({ row: this, note: this.tags })
  }
  @Backgrounded({ relations: { tags: true, books: { editor: true } } }) lookDeeply(): void {
    seen.push({ row: this, note: this.books })
  }
  @Backgrounded({ withDeleted: true }) lookAtDeleted(): void {
    seen.push({ row: this, note: 'deleted' })
  }
  @Backgrounded({ onMissing: 'fail' }) mustBeThere(..._others: unknown[]): void {
    seen.push({ row: this, note: 'there' })
  }
  @Backgrounded({ onMissing: 'retry', attempts: 2, backoff: 0 }) mayAppear(..._others: unknown[]): void {
    seen.push({ row: this, note: 'appeared' })
  }
  @Backgrounded({ relations: { nonsense: true }, attempts: 2, backoff: 0 }) cannotLoad(): void {
    seen.push({ row: this, note: 'loaded' })
  }
}

@Entity()
class Book {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string
  @ManyToOne(() => Author, (author) => author.books) author!: Relation<Author>
  @ManyToOne(() => Tag, { nullable: true }) editor!: Relation<Tag> | null
}

const entities = [Author, Tag, Book]

/** Remembers the statements that TypeORM sends. */
class Statements implements TypeOrmLogger {
  readonly all: string[] = []
  logQuery(query: string): void {
    this.all.push(query)
  }
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}

  from(table: string): string[] {
    return this.all.filter((query) => query.startsWith('SELECT') && query.includes(`FROM "${table}"`))
  }
}

describe('the reload', () => {
  let dataSource: DataSource
  let statements: Statements
  let handler: FakeHandler

  beforeEach(async () => {
    seen.length = 0
    statements = new Statements()
    handler = new FakeHandler()
    dataSource = inMemory(entities)
    dataSource.setOptions({ logger: statements, logging: true })
    await withBackgrounded(dataSource, { handler, logger: silent }).initialize()
  })
  afterEach(() => dataSource.destroy())

  const authors = (count: number) =>
    dataSource.manager.save(
      Array.from({ length: count }, (_, index) => Object.assign(new Author(), { name: `author ${index}` })),
    )
  const author = async (name = 'one', fields: Partial<Author> = {}) =>
    dataSource.manager.save(Object.assign(new Author(), { name }, fields))
  const tag = async (name: string) => dataSource.manager.save(Object.assign(new Tag(), { name }))

  it('of fifty rows for fifty jobs takes few statements', async () => {
    await backgrounded(await authors(50)).look()
    statements.all.length = 0
    await drain(dataSource, { concurrency: 50 })
    expect(seen).to.have.length(50)
    expect(statements.from('author')).to.have.length.at.most(2)
  })

  it('of fifty rows with ten slots takes a statement for each round at most', async () => {
    await backgrounded(await authors(50)).look()
    statements.all.length = 0
    await drain(dataSource, { concurrency: 10 })
    expect(seen).to.have.length(50)
    expect(statements.from('author')).to.have.length.at.most(10)
  })

  it('of fifty entities among the arguments takes few statements', async () => {
    const rows = await authors(50)
    const holder = await tag('holder')
    await backgrounded(holder).look(rows)
    statements.all.length = 0
    await drain(dataSource)
    expect((seen[0]?.note as Author[]).map(({ id }) => id)).to.deep.equal(rows.map(({ id }) => id))
    expect(statements.from('author')).to.have.length.at.most(2)
  })

  it('keeps each job with its row, and the rows in the order of the calls', async () => {
    const rows = (await authors(30)).reverse()
    await backgrounded(rows).look()
    await drain(dataSource, { concurrency: 30 })
    expect(seen.map(({ row }) => row.id)).to.deep.equal(rows.map(({ id }) => id))
    expect(seen.map(({ row }) => row.name)).to.deep.equal(rows.map(({ name }) => name))
  })

  it('gives two jobs on one row an object each', async () => {
    const row = await author()
    await backgrounded([row, row, row]).look()
    await drain(dataSource, { concurrency: 10 })
    expect(new Set(seen.map(({ row }) => row)).size).to.equal(3)
    expect(seen.map(({ row }) => row)).not.to.include(row)
  })

  it('gives two jobs on one row an object each where their keys are written differently', async () => {
    const { id } = await author()
    await backgrounded([reference(Author, id), reference(Author, String(id)), reference(Author, BigInt(id))]).look()
    await drain(dataSource, { concurrency: 10 })
    expect(new Set(seen.map(({ row }) => row)).size).to.equal(3)
  })

  it("gives an argument that is the job's own row a separate object", async () => {
    const row = await author()
    await backgrounded(row).look(row)
    await drain(dataSource)
    expect((seen[0]?.note as Author).id).to.equal(row.id)
    expect(seen[0]?.note).not.to.equal(seen[0]?.row)
  })

  it('loads the row as it is now', async () => {
    const row = await author('old')
    await backgrounded(row).look()
    await dataSource.manager.update(Author, row.id, { name: 'new' })
    await drain(dataSource)
    expect(seen[0]?.row.name).to.equal('new')
  })

  it('loads entity arguments as they are now, wherever they occur', async () => {
    const [one, two, three] = (await authors(3)) as [Author, Author, Author]
    const holder = await tag('holder')
    await backgrounded(holder).look({
      list: [one, [two]],
      map: new Map<unknown, unknown>([
        ['a', one],
        [two, 'b'],
      ]),
      set: new Set([reference(Author, three.id)]),
    })
    await dataSource.query(`UPDATE author SET name = 'fresh'`)
    await drain(dataSource)
    const { list, map, set } = seen[0]?.note as {
      list: [Author, [Author]]
      map: Map<unknown, unknown>
      set: Set<Author>
    }
    const found = [list[0], list[1][0], map.get('a'), [...map.keys()][1], [...set][0]] as Author[]
    expect(found.map(({ id }) => id)).to.deep.equal([one.id, two.id, one.id, two.id, three.id])
    for (const each of found) {
      expect(each).to.be.instanceOf(Author)
      expect(each.name).to.equal('fresh')
    }
  })

  it('joins eager relations, for the row and for arguments, and shares none between two jobs', async () => {
    const home = await tag('home')
    const [one, two] = [await author('one', { home }), await author('two', { home })]
    await backgrounded([one, two]).look(one)
    await drain(dataSource, { concurrency: 10 })
    expect(seen.map(({ row }) => (row as Author).home?.name)).to.deep.equal(['home', 'home'])
    expect((seen[0]?.row as Author).home).not.to.equal((seen[1]?.row as Author).home)
    expect((seen[0]?.note as Author).home?.name).to.equal('home')
  })

  it('joins the relations of the options, as a list', async () => {
    const row = await author('one', { tags: [await tag('a'), await tag('b')] })
    await backgrounded(row).lookWithTags()
    await drain(dataSource)
    expect((seen[0]?.note as Tag[]).map(({ name }) => name).sort()).to.deep.equal(['a', 'b'])
  })

  it('joins the relations of the options, nested', async () => {
    const row = await author('one', { tags: [await tag('a')] })
    await dataSource.manager.save(
      Object.assign(new Book(), { title: 'the book', author: row, editor: await tag('editor') }),
    )
    await backgrounded(row).lookDeeply()
    await drain(dataSource)
    expect((seen[0]?.note as Book[])[0]?.editor?.name).to.equal('editor')
  })

  it('does not load the relations of one method for another', async () => {
    const row = await author('one', { tags: [await tag('a')] })
    await backgrounded(row).look()
    await backgrounded(row).lookWithTags()
    await drain(dataSource, { concurrency: 10 })
    const plain = seen.find(({ note }) => note === undefined)
    expect((plain?.row as Author).tags).to.equal(undefined)
  })

  it('uses an attempt when it fails for a reason of its own', async () => {
    await backgrounded(await author()).cannotLoad()
    expect(await drain(dataSource)).to.include({ retried: 1, failed: 1 })
    expect(handler.ended[0]?.error).to.match(/nonsense/)
    expect(seen).to.deep.equal([])
  })

  describe('of a row that is gone', () => {
    const gone = reference(Author, 999)

    it('discards the job by default and keeps the reason', async () => {
      await backgrounded(gone).look()
      expect(await drain(dataSource)).to.include({ discarded: 1 })
      expect(handler.ended[0]).to.include({ state: 'discarded', error: 'Author {"id":999} is gone.' })
    })

    it('fails it if the method says so', async () => {
      await backgrounded(gone).mustBeThere()
      expect(await drain(dataSource)).to.include({ failed: 1, retried: 0 })
      expect(handler.ended[0]?.error).to.match(/^RowMissingError: Author {"id":999} is gone/)
    })

    it('retries it if the method says so, until its attempts are used', async () => {
      await backgrounded(gone).mayAppear()
      expect(await drain(dataSource)).to.include({ retried: 1, failed: 1 })
    })

    it('runs it when the row appears before the next attempt', async () => {
      await backgrounded(gone).mayAppear()
      backgroundedEvents(dataSource).once('retried', () => {
        void dataSource.manager.insert(Author, { id: 999, name: 'late' })
      })
      expect(await drain(dataSource)).to.include({ retried: 1, completed: 1 })
      expect(seen.map(({ row }) => row.name)).to.deep.equal(['late'])
    })

    it('leaves its neighbours of the batch alone', async () => {
      const [one, two] = (await authors(2)) as [Author, Author]
      await backgrounded([one, gone, two]).look()
      expect(await drain(dataSource, { concurrency: 10 })).to.include({ completed: 2, discarded: 1 })
    })

    it('applies to a soft-deleted row too', async () => {
      const row = await author()
      await backgrounded(row).look()
      await dataSource.manager.softRemove(row)
      expect(await drain(dataSource)).to.include({ discarded: 1 })
    })

    it('but finds a soft-deleted row for a method that asks for it', async () => {
      const row = await author()
      await backgrounded(row).lookAtDeleted()
      await backgrounded(row).look()
      await dataSource.manager.softRemove(row)
      expect(await drain(dataSource, { concurrency: 10 })).to.include({ completed: 1, discarded: 1 })
      expect((seen[0]?.row as Author).deletedAt).to.be.instanceOf(Date)
    })
  })

  describe('of an argument that is gone', () => {
    const gone = reference(Author, 999)

    it('discards the job by default, and says which argument', async () => {
      await backgrounded(await author()).look('x', { by: [gone] })
      expect(await drain(dataSource)).to.include({ discarded: 1 })
      expect(handler.ended[0]?.error).to.equal('Author {"id":999}, the argument at /1/by/0, is gone.')
    })

    it('fails it, or retries it, if the method says so', async () => {
      await backgrounded(await author()).mustBeThere(gone)
      expect(await drain(dataSource)).to.include({ failed: 1 })
      await backgrounded(await author()).mayAppear([gone])
      expect(await drain(dataSource)).to.include({ retried: 1, failed: 1 })
    })
  })
})

describe('the reload bypasses', () => {
  beforeEach(() => (seen.length = 0))

  it('a cache that holds every find', async () => {
    const dataSource = inFile(entities)
    dataSource.setOptions({ cache: { alwaysEnabled: true, duration: 3_600_000 } } as Partial<DataSourceOptions>)
    await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
    try {
      const row = await dataSource.manager.save(Object.assign(new Tag(), { name: 'old' }))
      await backgrounded(row).look()
      await drain(dataSource)
      const find = () => dataSource.manager.find(Tag, { where: { id: row.id } })
      await find()
      await dataSource.manager.update(Tag, row.id, { name: 'new' })
      expect((await find())[0]?.name, 'the cache is at work').to.equal('old')
      await backgrounded(row).look(row)
      await drain(dataSource)
      expect(seen.map(({ row }) => row.name)).to.deep.equal(['old', 'new'])
      expect((seen[1]?.note as Tag).name).to.equal('new')
    } finally {
      await dataSource.destroy()
    }
  })

  it('a replica, and reads from the primary', async function () {
    await requirePostgres(this)
    const primary = await createPostgres([Tag])
    const replica = await createPostgres([Tag])
    for (const [store, name] of [
      [primary, 'from the primary'],
      [replica, 'from the replica'],
    ] as const) {
      await store.dataSource.initialize()
      await store.dataSource.manager.insert(Tag, { name })
    }
    const { host, port, username, password, database } = primary.dataSource.options as unknown as Connection
    const common = { host, port, username, password }
    const dataSource = new DataSource({
      type: 'postgres',
      entities: [Tag],
      replication: {
        master: { ...common, database },
        slaves: [{ ...common, database: String(replica.dataSource.options.database) }],
      },
    })
    try {
      await withBackgrounded(dataSource, { handler: new SynchronousHandler() }).initialize()
      const read = await dataSource.manager.findOneByOrFail(Tag, { id: 1 })
      expect(read.name, 'a plain find reads the replica').to.equal('from the replica')
      await backgrounded(read).look(read)
      expect(seen.map(({ row }) => row.name)).to.deep.equal(['from the primary'])
      expect((seen[0]?.note as Tag).name).to.equal('from the primary')
    } finally {
      if (dataSource.isInitialized) await dataSource.destroy()
      await primary.drop()
      await replica.drop()
    }
  })

  it('nothing of the pool: it takes one connection, and gives it back', async function () {
    await requirePostgres(this)
    const { dataSource, drop } = await createPostgres([Tag], { poolSize: 2 })
    try {
      await withBackgrounded(dataSource, { handler: new SynchronousHandler() }).initialize()
      const row = await dataSource.manager.save(Object.assign(new Tag(), { name: 'pooled' }))
      for (let round = 0; round < 10; round++) await backgrounded(row).look()
      expect(seen).to.have.length(10)
    } finally {
      await drop()
    }
  })
})

interface Connection {
  host: string
  port: number
  username: string
  password: string
  database: string
}

class Shouting extends DefaultNamingStrategy {
  override tableName(target: string, given?: string): string {
    return `T_${(given ?? target).toUpperCase()}`
  }
  override columnName(property: string, given: string, prefixes: string[]): string {
    return `C_${[...prefixes, given || property].join('_').toUpperCase()}`
  }
}

@Entity()
class Cell {
  @PrimaryColumn() rowNumber!: number
  @PrimaryColumn() columnName!: string
  @Column() someText!: string
  @Backgrounded() look(): void {
    seen.push({ row: this as unknown as Tag, note: this.someText })
  }
}

const namings: Record<string, Partial<DataSourceOptions>> = {
  'a prefix for all tables': { entityPrefix: 'app_' },
  'a naming strategy': { namingStrategy: new Shouting() },
  'a naming strategy and a prefix': { namingStrategy: new Shouting(), entityPrefix: 'app_' },
}
for (const [title, options] of Object.entries(namings)) {
  describe(`with ${title}`, () => {
    beforeEach(() => (seen.length = 0))

    async function run(dataSource: DataSource): Promise<void> {
      const tag = await dataSource.manager.save(Object.assign(new Tag(), { name: 'one' }))
      const cell = Object.assign(new Cell(), { rowNumber: 1, columnName: 'a', someText: 'text' })
      await dataSource.manager.save(cell)
      await backgrounded(tag).look(cell)
      await backgrounded([cell, reference(Cell, { rowNumber: 1, columnName: 'a' })]).look()
      await drain(dataSource)
      expect(seen.map(({ note }) => (note as Cell).someText ?? note).sort()).to.deep.equal(['text', 'text', 'text'])
    }

    it('jobs are stored, and their rows are found, on SQLite', async () => {
      const dataSource = inFile([Tag, Cell], temporaryFile())
      dataSource.setOptions(options)
      await withBackgrounded(dataSource, { handler: new DatabaseHandler(), logger: silent }).initialize()
      await run(dataSource).finally(() => dataSource.destroy())
    })

    it('rows are found on Postgres', async function () {
      await requirePostgres(this)
      const { dataSource, drop } = await createPostgres([Tag, Cell])
      dataSource.setOptions(options)
      withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent })
      await dataSource.initialize().then(run).finally(drop)
    })
  })
}

describe('a database that cannot be reached', () => {
  it('costs no attempt: the jobs go back, and run when it is back', async function () {
    await requirePostgres(this)
    const store = await createPostgres([Tag])
    const { host, port } = store.dataSource.options as unknown as Connection
    const way = await openWay(host, port)
    store.dataSource.setOptions({ host: '127.0.0.1', port: way.port } as Partial<DataSourceOptions>)
    let now = Date.now()
    const handler = new FakeHandler(() => now)
    const dataSource = withBackgrounded(store.dataSource, { handler, logger: silent })
    try {
      await dataSource.initialize()
      seen.length = 0
      const row = await dataSource.manager.save(Object.assign(new Tag(), { name: 'one' }))
      await backgrounded([row, row]).look(row)
      now += 10
      await way.close()
      const released: string[] = []
      backgroundedEvents(dataSource).on('released', ({ reason }) => released.push(reason))
      const counts = await drain(dataSource)
      expect(counts).to.deep.equal({ completed: 0, retried: 0, failed: 0, discarded: 0, released: 2 })
      expect(released[0]).to.match(/ECONNREFUSED|terminated|ECONNRESET/)
      await way.reopen()
      now += 3_600_000
      expect(await drain(dataSource)).to.include({ completed: 2 })
      expect(seen).to.have.length(2)
    } finally {
      await way.reopen()
      await store.drop()
      await way.close()
    }
  })
})

describe('a database that accepts no writes', () => {
  it('costs no attempt: the jobs go back, and run when it accepts writes again', async function () {
    await requirePostgres(this)
    const { dataSource, drop } = await createPostgres([Tag], { poolSize: 1 })
    let now = Date.now()
    try {
      await withBackgrounded(dataSource, { handler: new FakeHandler(() => now), logger: silent }).initialize()
      seen.length = 0
      const row = await dataSource.manager.save(Object.assign(new Tag(), { name: 'one' }))
      await backgrounded(row).look(row)
      const { tableName } = dataSource.getMetadata(Tag)
      await dataSource.query('CREATE SEQUENCE looks')
      await dataSource.query(`ALTER TABLE "${tableName}" RENAME TO rows_of_it`)
      await dataSource.query(`CREATE VIEW "${tableName}" AS SELECT * FROM rows_of_it WHERE nextval('looks') > 0`)
      await dataSource.query('SET default_transaction_read_only = on')
      expect(await drain(dataSource)).to.include({ retried: 0, failed: 0, released: 1 })
      await dataSource.query('SET default_transaction_read_only = off')
      now += 3_600_000
      expect(await drain(dataSource)).to.include({ completed: 1 })
    } finally {
      await drop()
    }
  })
})

describe('a SQLite file that another program has locked', () => {
  it('costs no attempt: the job goes back, and runs when the lock is gone', async () => {
    const file = temporaryFile()
    let now = Date.now()
    const handler = new FakeHandler(() => now)
    const dataSource = inFile([Tag], file, { timeout: 0 })
    await withBackgrounded(dataSource, { handler, outbox: false, logger: silent }).initialize()
    const other = await inFile([], file).initialize()
    try {
      seen.length = 0
      const row = await dataSource.manager.save(Object.assign(new Tag(), { name: 'one' }))
      await backgrounded(row).look()
      await other.query('BEGIN EXCLUSIVE')
      expect(await drain(dataSource)).to.include({ retried: 0, failed: 0, released: 1 })
      await other.query('ROLLBACK')
      now += 3_600_000
      expect(await drain(dataSource)).to.include({ completed: 1 })
    } finally {
      await other.destroy()
      await dataSource.destroy()
    }
  })
})

/** A port that leads to the database until it is closed. */
async function openWay(host: string, port: number) {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const database = connect(port, host)
    for (const [from, to] of [
      [client, database],
      [database, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  const listen = (on: number) => new Promise<void>((resolve) => server.listen(on, '127.0.0.1', resolve))
  await listen(0)
  const own = (server.address() as AddressInfo).port
  return {
    port: own,
    async close() {
      for (const socket of sockets) socket.destroy()
      sockets.clear()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
    async reopen() {
      if (!server.listening) await listen(own)
    },
  }
}

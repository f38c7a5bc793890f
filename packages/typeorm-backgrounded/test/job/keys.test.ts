import { expect } from 'chai'
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
  drain,
  reference,
  SynchronousHandler,
  withBackgrounded,
  type Handler,
} from '../../src'
import { DatabaseHandler } from '../../src/handlers/database'
import { inFile } from '../support/data-sources'
import { createPostgres, requirePostgres } from '../support/postgres'

const ran: string[] = []

abstract class Noted {
  @Column({ default: '' }) note!: string
  @Backgrounded() tell(): void {
    ran.push(this.note)
  }
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
class Paired extends Noted {
  @PrimaryColumn() a!: number
  @PrimaryColumn() b!: string
}
class Point {
  @PrimaryColumn() x!: number
  @PrimaryColumn() y!: number
}
@Entity()
class Embedded extends Noted {
  @Column(() => Point) at!: Point
}
@Entity()
class Profile extends Noted {
  @PrimaryColumn() ownerId!: number
  @ManyToOne(() => Numbered)
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Numbered>
}
class Code {
  constructor(readonly text: string) {}
}
// After an insert on SQLite, TypeORM applies `from` to what the class shows already.
const code = {
  to: (value?: Code) => value?.text,
  from: (text?: string | Code) => (typeof text === 'string' ? new Code(text) : text),
}
@Entity()
class Coded extends Noted {
  @PrimaryColumn({ type: String, transformer: code }) code!: Code
}
@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Content extends Noted {
  @PrimaryGeneratedColumn() id!: number
}
@ChildEntity()
class Article extends Content {
  override tell(): void {
    ran.push(`article ${this.note}`)
  }
}

@Entity()
class Documented extends Noted {
  @PrimaryColumn({ type: 'jsonb' }) id!: { first: number; second: number }
}

const entities = [Numbered, Big, Unique, Named, Dated, Paired, Embedded, Profile, Coded, Content, Article]
const shapes: {
  title: string
  make: () => Noted
  key: (row: never) => unknown
  seen?: string
  target?: typeof Content
  onlyPostgres?: true
}[] = [
  { title: 'a number', make: () => new Numbered(), key: ({ id }: Numbered) => id },
  {
    title: 'a bigint',
    make: () => Object.assign(new Big(), { id: '900719925474099' }),
    key: ({ id }: Big) => BigInt(id),
  },
  { title: 'a uuid of the database', make: () => new Unique(), key: ({ id }: Unique) => id },
  { title: 'a string', make: () => Object.assign(new Named(), { name: "O'Hara" }), key: ({ name }: Named) => name },
  {
    title: 'a Date',
    make: () => Object.assign(new Dated(), { at: new Date('2026-01-02T03:04:05.678Z') }),
    key: ({ at }: Dated) => at,
  },
  {
    title: 'JSON',
    onlyPostgres: true,
    make: () => Object.assign(new Documented(), { id: { second: 2, first: 1 } }),
    key: ({ id }: Documented) => id,
  },
  {
    title: 'composite',
    make: () => Object.assign(new Paired(), { a: 1, b: 'x' }),
    key: ({ a, b }: Paired) => ({ a, b }),
  },
  {
    title: 'embedded',
    make: () => Object.assign(new Embedded(), { at: { x: 1, y: 2 } }),
    key: ({ at }: Embedded) => ({ at }),
  },
  {
    title: "another row's key",
    make: () => Object.assign(new Profile(), { ownerId: 1 }),
    key: ({ ownerId }: Profile) => ownerId,
  },
  {
    title: 'transformed',
    make: () => Object.assign(new Coded(), { code: new Code('c') }),
    key: ({ code }: Coded) => code,
  },
  {
    title: 'of a child class',
    make: () => new Article(),
    key: ({ id }: Article) => id,
    seen: 'article here',
    target: Content,
  },
]

const stores: {
  name: string
  handler: () => Handler
  open: () => Promise<{ dataSource: DataSource; drop?: () => Promise<void> }>
  postgres?: true
}[] = [
  {
    name: 'DatabaseHandler, SQLite',
    handler: () => new DatabaseHandler(),
    open: async () => ({ dataSource: inFile(entities) }),
  },
  {
    name: 'SynchronousHandler, Postgres',
    handler: () => new SynchronousHandler(),
    open: () => createPostgres([...entities, Documented]),
    postgres: true,
  },
]

for (const { name, handler, open, postgres } of stores) {
  describe(`a key: ${name}`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      if (postgres) await requirePostgres(this)
      ;({ dataSource, drop } = await open())
      await withBackgrounded(dataSource, { handler: handler() }).initialize()
      await dataSource.manager.save(new Numbered())
    })
    after(() => drop?.() ?? dataSource?.destroy())

    for (const { title, make, key, seen = 'here', target, onlyPostgres } of shapes) {
      if (onlyPostgres && !postgres) continue
      it(`${title} finds its row, from the entity and from a reference`, async () => {
        ran.length = 0
        const row = await dataSource.manager.save(Object.assign(make(), { note: 'here' }))
        await backgrounded(row).tell()
        await backgrounded(
          reference((target ?? row.constructor) as typeof Numbered, key(row as never) as object),
        ).tell()
        await drain(dataSource)
        expect(ran).to.deep.equal([seen, seen])
      })
    }

    it('is refused at the call while it is not set', async () => {
      const error = await backgrounded(new Numbered())
        .tell()
        .catch((each: unknown) => each)
      expect(error).to.have.property('code', 'MISSING_KEY')
    })
  })
}

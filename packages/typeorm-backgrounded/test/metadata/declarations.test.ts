import { expect } from 'chai'
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, BackgroundedEntity, SynchronousHandler, withBackgrounded } from '../../src'
import { inMemory } from '../support/data-sources'

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- as TypeORM's own options have it
type Class = Function

const ran: string[] = []

abstract class Base {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() touch(): void {
    ran.push('base')
  }
  @Backgrounded() static sweep(): void {
    ran.push(`sweep ${this.name}`)
  }
}
@Entity()
class Inheriting extends Base {
  @Column({ default: '' }) name!: string
}
@Entity()
class Redefining extends Base {
  override touch(): void {
    ran.push('redefined')
  }
}

type Generated = Record<string, (...args: unknown[]) => Promise<unknown>>
const generated = (target: unknown) => target as Generated
const open = (...entities: Class[]) =>
  withBackgrounded(inMemory(entities), { handler: new SynchronousHandler() }).initialize()
const refusal = (...entities: Class[]) =>
  open(...entities).then(
    () => undefined,
    (error: { code: string; message: string }) => error,
  )

describe('a marked method', () => {
  beforeEach(() => (ran.length = 0))

  it('is inherited, also when a subclass redefines it', async () => {
    const dataSource = await open(Inheriting, Redefining)
    await generated(await dataSource.manager.save(new Inheriting())).touchBackgrounded?.()
    await generated(await dataSource.manager.save(new Redefining())).touchBackgrounded?.()
    await generated(Inheriting).sweepBackgrounded?.()
    expect(ran).to.deep.equal(['base', 'redefined', 'sweep Inheriting'])
    await dataSource.destroy()
  })

  it('has a generated method with a proper name, which is not listed, stored or printed', () => {
    const row = Object.assign(new Inheriting(), { name: 'x' })
    expect(generated(row).touchBackgrounded?.name).to.equal('touchBackgrounded')
    const listed = []
    for (const name in row) listed.push(name)
    expect(listed).to.deep.equal(Object.keys(row))
    expect(JSON.stringify(row)).to.equal('{"name":"x"}')
  })

  it("shows the caller's line when the call fails", async () => {
    async function callerOfTheMethod(): Promise<unknown> {
      return await generated(new Inheriting()).touchBackgrounded?.()
    }
    const error = (await callerOfTheMethod().catch((each: unknown) => each)) as Error
    expect(error.stack).to.include('callerOfTheMethod')
  })

  it('may be named on its class, and an unknown name is refused at start-up', async () => {
    @Entity()
    class Vendor {
      @PrimaryGeneratedColumn() id!: number
      sync(): void {
        ran.push('sync')
      }
    }
    Backgrounded('sync')(Vendor)
    const dataSource = await open(Vendor)
    await generated(await dataSource.manager.save(new Vendor())).syncBackgrounded?.()
    expect(ran).to.deep.equal(['sync'])
    await dataSource.destroy()
    Backgrounded('vanished')(Vendor as never)
    expect((await refusal(Vendor))?.message).to.match(/Vendor\.vanished, but there is no such method/)
  })

  it('is refused at start-up if a field hides the generated method', async () => {
    @Entity()
    class Shadowing {
      @PrimaryGeneratedColumn() id!: number
      @Backgrounded() touch(): void {}
      touchBackgrounded = undefined
    }
    expect((await refusal(Shadowing))?.message).to.match(/hides the generated method: write "declare touchBackgrounded/)
  })

  it('is refused at start-up on a class that is not an entity', async () => {
    class Loose {
      @Backgrounded() touch(): void {}
    }
    expect((await refusal(Loose))?.message).to.match(/Loose has @Backgrounded methods, but it is not an entity/)
  })

  it('may be on a base class that is listed among the entities, if an entity extends it', async () => {
    class Middle extends Base {
      @Backgrounded() sort(): void {}
    }
    @Entity()
    class Leaf extends Middle {}
    for (const classes of [
      [Base, Inheriting],
      [Leaf, Middle, Base],
    ] as Class[][]) {
      const dataSource = await open(...classes)
      await dataSource.destroy()
    }
    expect((await refusal(Middle, Inheriting))?.message).to.match(/Middle has @Backgrounded methods/)
  })

  it('is refused at start-up on two classes with one name, until one gets another name', async () => {
    const makeTwin = (table: string) => {
      @Entity(table)
      class Twin {
        @PrimaryGeneratedColumn() id!: number
        @Backgrounded() touch(): void {}
      }
      return Twin
    }
    const [one, two] = [makeTwin('twin_one'), makeTwin('twin_two')]
    const error = await refusal(one, two)
    expect(error).to.have.property('code', 'DUPLICATE_ENTITY_NAME')
    expect(error?.message).to.include('@BackgroundedEntity({ name:')
    BackgroundedEntity({ name: 'other.Twin' })(two)
    expect(await refusal(one, two)).to.equal(undefined)
  })

  for (const option of ['unique', 'exclusive', 'transactional', 'timeout']) {
    it(`refuses the option ${option}, which comes later`, () => {
      expect(() =>
        Backgrounded({ [option]: true })(
          Base.prototype,
          'touch',
          Object.getOwnPropertyDescriptor(Base.prototype, 'touch') as never,
        ),
      )
        .to.throw(/will come with a later version/)
        .with.property('code', 'UNSUPPORTED_OPTION')
    })
  }
})

import { expect } from 'chai'
import { Column, Entity, EntitySchema, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, backgrounded, BackgroundedEntity, withBackgrounded } from '../../src'
import { buildNameOf, isMangledProperty } from '../../src/metadata/build-names'
import { FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

/** Names and sources of the classes User, Ad and Tag as builds leave them. */
const BUILDS: Record<string, { good?: [string, string][]; bad?: [string, string][] }> = {
  'tsc, swc': {
    good: [
      ['User', 'class User {\n    id = 1;\n    cancel() { return 1; }\n}'],
      ['Ad', 'class Ad {\n    go() { }\n}'],
      ['Tag', 'class Tag extends Base {\n}'],
      ['A', 'class A {\n    go() { }\n}'],
      ['TV', 'class TV {\n}'],
      ['OAuth2', 'class OAuth2 {\n}'],
      ['E', 'class E {}'],
      ['注文', 'class 注文 {\n}'],
      ['Öl', 'class Öl {\n}'],
      ['ñ', 'class ñ {\n}'],
    ],
  },
  'esbuild --bundle': {
    good: [
      ['User', 'class {\n  constructor() {\n    this.id = 1;\n  }\n}'],
      ['Ad', 'class extends Base {\n  go() {\n  }\n}'],
      ['Sha1', 'class {\n}'],
    ],
    bad: [
      ['User2', 'class {\n  constructor() {\n    this.id = 1;\n  }\n}'],
      ['User13', 'class extends Base {\n}'],
      ['_User', 'class _User {\n  static one = new _User();\n}'],
      ['__User', 'class __User {\n}'],
    ],
  },
  'esbuild --minify --keep-names': {
    good: [
      ['User', 'class{constructor(){this.id=1}cancel(){return n}}'],
      ['Tag', 'class{static{a(this,"Tag")}cancel(){}}'],
      ['注文', 'class{static{a(this,"注文")}cancel(){}}'],
      ['Sky', 'class Sky{go(){}}'],
    ],
  },
  'esbuild --minify, terser, swc': {
    bad: [
      ['t', 'class{constructor(){this.id=1}cancel(){return t}}'],
      ['', 'class{cancel(){}}'],
      ['e', 'class e{cancel(){}}'],
      ['E', 'class E{cancel(){}}'],
      ['A', 'class{go(){}}'],
      ['Ad', 'class{go(){}}'],
      ['aB', 'class aB extends Q{go(){}}'],
      ['$', 'class $ extends(0,e.x){go(){}}'],
      ['Xt3', 'class{go(){}}'],
      ['kQe', 'class kQe{go(){}}'],
      ['Xkt', 'class Xkt{go(){}}'],
    ],
  },
  'esbuild --minify-identifiers': {
    bad: [
      ['t', 'class {\n  constructor() {\n    this.id = 1;\n  }\n}'],
      ['A', 'class {\n  go() {\n  }\n}'],
      ['_', 'class {\n}'],
      ['aB', 'class {\n  go() {\n  }\n}'],
    ],
  },
}

for (const [build, { good = [], bad = [] }] of Object.entries(BUILDS)) {
  describe(`The names of classes in a build by ${build}`, () => {
    for (const [name, source] of good) {
      it(`are kept: ${name}`, () => expect(buildNameOf(name, source)).to.equal(undefined))
    }
    for (const [name, source] of bad) {
      it(`are recognised as chosen by the build: ${name || 'none'}`, () =>
        expect(buildNameOf(name, source)).to.be.a('string'))
    }
  })
}

describe('an entity whose name the build has chosen', () => {
  /** A class as a minifier leaves it. */
  function minified(name: string): new () => { id: number; cancel(...rows: unknown[]): void } {
    const target = new Function(`return class ${name}{cancel(){}}`)() as never
    const { prototype } = target as { prototype: object }
    PrimaryGeneratedColumn()(prototype, 'id')
    Column({ type: String, default: '' })(prototype, 'note')
    Entity(`orders_${name}`)(target)
    return target
  }
  const open = async (...entities: unknown[]) => {
    const dataSource = inMemory(entities as never)
    return withBackgrounded(dataSource, { handler: new FakeHandler() }).initialize()
  }

  it('is refused at the start, with the fix', async () => {
    const target = minified('e')
    Backgrounded('cancel')(target as never)
    const error = await open(target).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    expect(String(error)).to.include('orders_e').and.include('@BackgroundedEntity({ name:')
  })

  it('works if it is given a name', async () => {
    const target = minified('t')
    BackgroundedEntity({ name: 'Order' })(target)
    Backgrounded('cancel')(target as never)
    await open(target).then((dataSource) => dataSource.destroy())
  })

  it('is accepted if it has no marked method', async () => {
    await open(minified('n')).then((dataSource) => dataSource.destroy())
  })

  it('is refused among the arguments of a call', async () => {
    const [target, other] = [minified('i'), minified('o')]
    BackgroundedEntity({ name: 'Order' })(target)
    Backgrounded('cancel')(target as never)
    const dataSource = await open(target, other)
    const [row, argument] = [await dataSource.manager.save(new target()), await dataSource.manager.save(new other())]
    const call = backgrounded(row) as unknown as { cancel(row: object): Promise<unknown> }
    const error = await call.cancel(argument).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
    await dataSource.destroy()
  })

  it('is refused with an EntitySchema, too', async () => {
    const target = new Function('return class a{cancel(){}}')() as new () => { id: number; cancel(): void }
    Backgrounded('cancel')(target as never)
    const schema = new EntitySchema({
      name: 'Order',
      target,
      columns: { id: { type: Number, primary: true, generated: true } },
    } as never)
    const error = await open(schema).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'INVALID_DECLARATION')
  })

  it('has methods whose names are recognised in the same way', () => {
    expect(isMangledProperty('c', 'class Order{c(){}}')).to.equal(true)
    expect(isMangledProperty('go', 'class Order {\n  go() {}\n}')).to.equal(false)
    expect(isMangledProperty('cancel', 'class Order{cancel(){}}')).to.equal(false)
  })
})
